import type { Commit, Incarnation, MemberId, Revision, StoreContent, StorePut, StoreWrite } from '@understudy/core';
import type { NodeIndex, SimNet } from '../net/net.ts';
import type { Random } from '../time/random.ts';
import type { Scheduler } from '../time/scheduler.ts';
import { Registers, type SavedState } from './content.ts';

/** What a client asks of the store. */
export type StoreCall =
  | { readonly kind: 'read' }
  | { readonly kind: 'transact'; readonly commit: Commit }
  | {
      readonly kind: 'open-session';
      readonly member: MemberId;
      readonly incarnation: Incarnation;
      readonly ttlMs: number;
      /** What must be under the session's key: what an earlier, slower request left behind must not take it over. */
      readonly is: Revision | 'absent';
      readonly puts: readonly StorePut[];
    }
  | { readonly kind: 'keep-alive'; readonly lease: number };

export type StoreAnswer =
  | { readonly kind: 'read'; readonly content: StoreContent; readonly revision: number }
  | { readonly kind: 'committed'; readonly revision: Revision }
  | { readonly kind: 'rejected' }
  | { readonly kind: 'session'; readonly lease: number }
  | { readonly kind: 'alive' }
  | { readonly kind: 'expired' }
  | { readonly kind: 'unavailable' };

const PAST_KEPT = 400;
const UNAVAILABLE: StoreAnswer = { kind: 'unavailable' };

interface Lease {
  readonly id: number;
  readonly member: MemberId;
  readonly incarnation: Incarnation;
  readonly ttlMs: number;
  /** True time: the store counts on its own clock, whose rate is part of it. */
  expiresAt: number;
  /** Which planned expiry is the valid one. */
  plan: number;
}

/** How the store misbehaves at the moment; faults move these. */
export interface StoreTrouble {
  /** Number of faults that keep the store down. */
  down: number;
  /** Probability that a request never arrives, and that a reply is lost after the request was carried out. */
  loseRequest: number;
  loseReply: number;
  /** Added to every way there and back. */
  extraMs: number;
  /** Probability that a watch event is not delivered (the watcher finds out at its next read). */
  loseWatch: number;
}

export interface StoreObserver {
  /** Called after every change, with what was before. */
  onStoreChange(before: StoreContent, after: StoreContent): void;
  /** A session has run out. */
  onSessionEnd(member: MemberId): void;
}

/**
 * The consensus store as its clients see it: linearizable, with requests and replies that can each be lost (so the outcome of a
 * transaction can be unknown), leases that run out on its own clock, and a watch that comes late or not at all.
 */
export class SimStore {
  readonly registers = new Registers();
  readonly trouble: StoreTrouble = { down: 0, loseRequest: 0, loseReply: 0, extraMs: 0, loseWatch: 0 };
  readonly #scheduler: Scheduler;
  readonly #net: SimNet;
  readonly #random: Random;
  readonly #clockRate: number;
  readonly #observer: StoreObserver;
  readonly #leases = new Map<number, Lease>();
  readonly #watchers: ((content: StoreContent, revision: number) => void)[] = [];
  #leaseCount = 0;
  /** Older states, newest last. */
  readonly #past: { readonly at: number; readonly state: SavedState }[] = [];
  /** Grows when somebody puts the store back: what was sent to it before never arrives. */
  era = 0;

  constructor(scheduler: Scheduler, net: SimNet, random: Random, clockRate: number, observer: StoreObserver) {
    this.#scheduler = scheduler;
    this.#net = net;
    this.#random = random;
    this.#clockRate = clockRate;
    this.#observer = observer;
  }

  get content(): StoreContent {
    return this.registers.content;
  }

  /** Registers the watch of one host; it stays for ever and delivers to whichever agent lives there. */
  watch(node: NodeIndex, deliver: (content: StoreContent, revision: number) => void): void {
    this.#watchers[node] = deliver;
  }

  /** Until when, in true time, the store keeps a lease; null when it is gone. */
  leaseEnd(id: number): number | null {
    return this.#leases.get(id)?.expiresAt ?? null;
  }

  /** Sends `call` from `node`. `reply` runs when and if the answer arrives; waiting no longer is the caller's affair. */
  request(node: NodeIndex, call: StoreCall, reply: (answer: StoreAnswer) => void, knownEra = this.era): void {
    if (!this.#net.passesToStore(node) || this.#random.chance(this.trouble.loseRequest)) return;
    const { era } = this;
    this.#scheduler.after(this.#delay(), () => {
      if (era !== this.era) return;
      // Who does not know yet that this is another state may only read.
      const isRefused = call.kind !== 'read' && knownEra !== era;
      const answer = this.trouble.down > 0 ? this.#whileDown() : isRefused ? UNAVAILABLE : this.#carryOut(call);
      if (answer === null || !this.#net.passesFromStore(node) || this.#random.chance(this.trouble.loseReply)) return;
      this.#scheduler.after(this.#delay(), () => {
        if (era === this.era && this.#net.passesFromStore(node)) reply(answer);
      });
    });
  }

  /** A change by an operator or by the founders of the cluster: applied at once. */
  administer(puts: readonly StoreWrite[]): void {
    this.#change(() => this.registers.put(puts));
  }

  /** Applies a transaction of an operator's tool; false when an expectation did not hold. */
  administerIf(commit: Commit): boolean {
    if (!this.registers.accepts(commit)) return false;
    this.administer(commit.put);
    return true;
  }

  /**
   * Somebody puts the store back to what it was `agoMs` ago, or empties it (infinity). Nobody is told.
   * @returns whether a leadership was forgotten by it
   */
  putBack(agoMs: number): boolean {
    const before = this.#past.findLast(({ at }) => at <= this.#scheduler.now - agoMs);
    const newest = this.registers.content.record;
    this.era += 1;
    this.#leases.clear();
    this.registers.putBack(before?.state ?? null);
    return newest !== null && this.registers.content.record?.revision !== newest.revision;
  }

  /** After an outage a new store leader gives every lease its whole time again (as etcd does), or goes on counting. */
  recover(leases: 'extended' | 'counted'): void {
    for (const lease of this.#leases.values()) {
      if (leases === 'extended') lease.expiresAt = this.#scheduler.now + lease.ttlMs / this.#clockRate;
      this.#planExpiry(lease);
    }
  }

  #whileDown(): StoreAnswer | null {
    return this.#random.chance(0.5) ? { kind: 'unavailable' } : null;
  }

  /** Most messages of a troubled store are a little late, a few very late. */
  #delay(): number {
    const late = this.trouble.extraMs === 0 ? 0 : this.trouble.extraMs * this.#random.next() ** 3;
    return this.#net.delayMs() + late + 0.8;
  }

  #carryOut(call: StoreCall): StoreAnswer {
    switch (call.kind) {
      case 'read':
        return { kind: 'read', content: this.registers.content, revision: this.registers.revision };
      case 'transact': {
        if (!this.registers.accepts(call.commit)) return { kind: 'rejected' };
        return { kind: 'committed', revision: this.#change(() => this.registers.put(call.commit.put)) };
      }
      case 'open-session': {
        const present = this.registers.revisionOf(`sessions/${call.member}`) ?? 'absent';
        return present === call.is ? { kind: 'session', lease: this.#openSession(call) } : { kind: 'rejected' };
      }
      case 'keep-alive': {
        const lease = this.#leases.get(call.lease);
        if (lease === undefined) return { kind: 'expired' };
        lease.expiresAt = this.#scheduler.now + lease.ttlMs / this.#clockRate;
        return { kind: 'alive' };
      }
    }
  }

  #openSession(call: Extract<StoreCall, { kind: 'open-session' }>): number {
    this.#leaseCount += 1;
    const lease: Lease = {
      id: this.#leaseCount,
      member: call.member,
      incarnation: call.incarnation,
      ttlMs: call.ttlMs,
      expiresAt: this.#scheduler.now + call.ttlMs / this.#clockRate,
      plan: 0,
    };
    // A key belongs to one lease: the new session takes it from an older one of the same member.
    for (const older of [...this.#leases.values()]) if (older.member === call.member) this.#leases.delete(older.id);
    this.#leases.set(lease.id, lease);
    this.#change(() => this.registers.put([{ key: `sessions/${call.member}`, value: call.incarnation }, ...call.puts]));
    this.#planExpiry(lease);
    return lease.id;
  }

  #planExpiry(lease: Lease): void {
    lease.plan += 1;
    const plan = lease.plan;
    this.#scheduler.at(lease.expiresAt, () => {
      if (this.#leases.get(lease.id) !== lease || lease.plan !== plan || this.trouble.down > 0) return;
      if (lease.expiresAt > this.#scheduler.now) {
        this.#planExpiry(lease);
        return;
      }
      this.#leases.delete(lease.id);
      this.#observer.onSessionEnd(lease.member);
      this.#change(() => this.registers.put([{ key: `sessions/${lease.member}`, value: 'delete' }]));
    });
  }

  #change(apply: () => Revision): Revision {
    const before = this.registers.content;
    const at = apply();
    this.#past.push({ at: this.#scheduler.now, state: this.registers.save() });
    if (this.#past.length > PAST_KEPT) this.#past.shift();
    const after = this.registers.content;
    this.#observer.onStoreChange(before, after);
    this.#watchers.forEach((deliver, node) => {
      this.#notify(node, deliver, after, at);
    });
    return at;
  }

  #notify(
    node: NodeIndex,
    deliver: (content: StoreContent, revision: number) => void,
    content: StoreContent,
    at: number,
  ): void {
    if (this.trouble.down > 0 || !this.#net.passesFromStore(node)) return;
    if (this.#random.chance(this.trouble.loseWatch)) return;
    const { era } = this;
    this.#scheduler.after(this.#delay(), () => {
      if (era === this.era && this.#net.passesFromStore(node)) deliver(content, at);
    });
  }
}
