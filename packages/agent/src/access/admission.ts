/**
 * Which connections an agent has room for. Nobody is refused because others are there: who is known has room of his own, and among
 * strangers the newest takes the place of the oldest of whoever holds most. Pure: no clock, no sockets.
 */

import { isLoopback } from '../config/address.ts';

export interface AdmissionLimits {
  /** Connections of those who have shown nothing: in all, from one address, and from this machine. */
  readonly strangers: number;
  readonly perAddress: number;
  readonly perLoopback: number;
  /** Connections of members and holders of tokens or certificates: in all, and of each. */
  readonly known: number;
  readonly perHolder: number;
  /** New connections and requests of strangers of one address: at once, and each second after that. A network of IPv6 has {@link NETWORK_FACTOR} times all that. */
  readonly connects: Rate;
  readonly requests: Rate;
}

export interface Rate {
  readonly atOnce: number;
  readonly perS: number;
}

export type Arrival =
  | { readonly kind: 'admitted'; readonly evict: readonly string[] }
  /** More connections than one address may make: it is ended before anything is read. */
  | { readonly kind: 'refused' };

/** This machine's own programs are given more requests: checks and dashboards of all kinds share its address. */
const LOOPBACK_FACTOR = 10;
/** Hosts of one network of IPv6 are apart as long as each has one address; together they have no more than this many. */
const NETWORK_FACTOR = 4;
const MAX_HOMES = 256;
const MAX_BUCKETS = 4_096;

/** @param openFiles how many files the process may have open; the engine, the store and the log need most of a small number */
export function limitsFor(openFiles: number): AdmissionLimits {
  const strangers = Math.max(32, Math.min(512, Math.floor(openFiles / 8)));
  return {
    strangers,
    perAddress: Math.ceil(strangers / 8),
    perLoopback: Math.ceil(strangers / 2),
    known: strangers,
    perHolder: Math.ceil(strangers / 8),
    // A load balancer's checks, each of which is a connection, and programs behind one address stay far below.
    connects: { atOnce: 400, perS: 100 },
    requests: { atOnce: 300, perS: 100 },
  };
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #strangers: Pool;
  readonly #known: Pool;
  readonly #addresses = new Map<string, string>();
  /** Addresses from which a member was there: who else is there cannot use up what the member needs. */
  readonly #homes = new Set<string>();
  readonly #connects: Buckets;
  readonly #requests: Buckets;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
    this.#strangers = new Pool(limits.strangers);
    this.#known = new Pool(limits.known);
    this.#connects = new Buckets(limits.connects);
    this.#requests = new Buckets(limits.requests);
  }

  get size(): { readonly strangers: number; readonly known: number } {
    return { strangers: this.#strangers.size, known: this.#known.size };
  }

  /**
   * A connection has come. Ids in `evict` are to be ended; they count as gone.
   * @param isMemberHost whether a member is registered at its address; asked only when that decides
   */
  arrive(id: string, address: string, nowMs: number, isMemberHost: () => boolean): Arrival {
    const group = groupOf(address);
    const isOwn = isLoopback(address);
    const isExempt = isOwn || this.#homes.has(address);
    if (!isExempt && !takeBoth(this.#connects, address, group, nowMs, 1) && !isMemberHost()) return { kind: 'refused' };
    this.#addresses.set(id, address);
    const perHost = isOwn ? this.#limits.perLoopback : this.#limits.perAddress;
    const perGroup = group === plainAddress(address) ? perHost : perHost * NETWORK_FACTOR;
    const within = { host: address, perHost };
    return { kind: 'admitted', evict: this.#gone(this.#strangers.add(id, group, perGroup, within)) };
  }

  /**
   * Whoever holds the connection has shown who it is.
   * @param holder `member n2`, `token ops`, `certificate alice`
   * @returns what is to be ended for it
   */
  recognise(id: string, holder: string): readonly string[] {
    const address = this.#addresses.get(id);
    if (address === undefined || this.#known.has(id)) return [];
    if (holder.startsWith('member ') && this.#homes.size < MAX_HOMES) this.#homes.add(address);
    this.#strangers.remove(id);
    return this.#gone(this.#known.add(id, holder, this.#limits.perHolder));
  }

  /** A request has come over it, or been answered: who waits for an answer goes last. */
  setBusy(id: string, busy: boolean): void {
    this.#strangers.setBusy(id, busy);
    this.#known.setBusy(id, busy);
  }

  /** Whether a stranger's next request is looked at. */
  mayAsk(address: string, nowMs: number): boolean {
    const factor = isLoopback(address) ? LOOPBACK_FACTOR : 1;
    return takeBoth(this.#requests, address, groupOf(address), nowMs, factor);
  }

  leave(id: string): void {
    this.#addresses.delete(id);
    this.#strangers.remove(id);
    this.#known.remove(id);
  }

  #gone(ids: readonly string[]): readonly string[] {
    for (const id of ids) this.#addresses.delete(id);
    return ids;
  }
}

interface Group {
  /** Oldest first. */
  readonly idle: Set<string>;
  readonly busy: Set<string>;
}

const sizeOf = (group: Group): number => group.idle.size + group.busy.size;

/** Connections in groups; a full one makes room by letting go of the oldest of the largest group, those without a request first. */
class Pool {
  readonly #limit: number;
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<string, string>();
  readonly #hostOf = new Map<string, string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#groupOf.size;
  }

  has(id: string): boolean {
    return this.#groupOf.has(id);
  }

  /** @param within the host that it is of, where a group has several, and how many each may have */
  add(
    id: string,
    name: string,
    perGroup: number,
    within: { readonly host: string; readonly perHost: number } | null = null,
  ): readonly string[] {
    const own = this.#groups.get(name) ?? { idle: new Set(), busy: new Set() };
    const evicted: string[] = [];
    const ofHost =
      within === null ? [] : [...own.idle, ...own.busy].filter((each) => this.#hostOf.get(each) === within.host);
    if (within !== null && ofHost.length >= within.perHost) {
      const [oldest] = ofHost;
      if (oldest !== undefined) evicted.push(...this.#drop(oldest));
    } else if (sizeOf(own) >= perGroup) evicted.push(...this.#dropOldest(own));
    else if (this.size >= this.#limit) evicted.push(...this.#dropOldest(this.#largest()));
    this.#groups.set(name, own);
    own.idle.add(id);
    this.#groupOf.set(id, name);
    if (within !== null) this.#hostOf.set(id, within.host);
    return evicted;
  }

  setBusy(id: string, busy: boolean): void {
    const group = this.#groups.get(this.#groupOf.get(id) ?? '');
    if (group === undefined) return;
    group.idle.delete(id);
    group.busy.delete(id);
    // At the end: what was used last is the youngest.
    (busy ? group.busy : group.idle).add(id);
  }

  remove(id: string): void {
    const name = this.#groupOf.get(id);
    const group = name === undefined ? undefined : this.#groups.get(name);
    if (name === undefined || group === undefined) return;
    this.#groupOf.delete(id);
    this.#hostOf.delete(id);
    group.idle.delete(id);
    group.busy.delete(id);
    if (sizeOf(group) === 0) this.#groups.delete(name);
  }

  #dropOldest(group: Group): readonly string[] {
    const [oldest] = group.idle.size > 0 ? group.idle : group.busy;
    return oldest === undefined ? [] : this.#drop(oldest);
  }

  #drop(id: string): readonly string[] {
    this.remove(id);
    return [id];
  }

  #largest(): Group {
    let largest: Group = { idle: new Set(), busy: new Set() };
    for (const group of this.#groups.values()) if (sizeOf(group) > sizeOf(largest)) largest = group;
    return largest;
  }
}

/** So much at once, and so much each second, for each of many names. */
class Buckets {
  readonly #rate: Rate;
  readonly #used = new Map<string, { used: number; atMs: number }>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** @param factor how many times the rate this one has */
  take(name: string, nowMs: number, factor = 1): boolean {
    const { atOnce, perS } = this.#rate;
    const before = this.#used.get(name);
    const regained = before === undefined ? 0 : ((nowMs - before.atMs) / 1000) * perS * factor;
    const used = before === undefined ? 0 : Math.max(0, before.used - regained);
    const isTaken = used + 1 <= atOnce * factor;
    this.#used.delete(name);
    this.#used.set(name, { used: isTaken ? used + 1 : used, atMs: nowMs });
    if (this.#used.size > MAX_BUCKETS) this.#forgetOldest();
    return isTaken;
  }

  #forgetOldest(): void {
    const [oldest] = this.#used.keys();
    if (oldest !== undefined) this.#used.delete(oldest);
  }
}

/** Of a host, and of the network in which a host may have as many addresses as it wants. */
function takeBoth(buckets: Buckets, address: string, group: string, nowMs: number, factor: number): boolean {
  const host = plainAddress(address);
  if (!buckets.take(host, nowMs, factor)) return false;
  return host === group || buckets.take(group, nowMs, factor * NETWORK_FACTOR);
}

function plainAddress(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase();
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1] ?? plain;
}

/** What of an address one holder has: all of IPv4, and of IPv6 the network, in which every host may have as many as it wants. */
export function groupOf(address: string): string {
  const plain = plainAddress(address);
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : new Array(Math.max(0, 8 - front.length - back.length)).fill('0');
  const parts = [...front, ...zeros, ...back].slice(0, 4).map((part) => part.replace(/^0+(?=.)/, ''));
  return `${parts.join(':')}::/64`;
}
