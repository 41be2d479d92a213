import { extentOf, type LeadershipRecord, type Position, type StoreContent } from '@understudy/core';
import { hasStandbyName, memberName } from '../server/acks.ts';
import type { CopyChange, ServerObserver, SimServer } from '../server/server.ts';
import { branchAt, commonEnd, holds, type WalEnd } from '../wal/branch.ts';
import { electableWithout, ruleHole } from './quorum.ts';

/** A promise that was broken, with what was seen. */
export interface Violation {
  readonly atMs: number;
  /** Which invariant: a stable name, by which shrinking recognises the same failure. */
  readonly rule: string;
  readonly text: string;
}

export interface CheckWorld {
  readonly servers: readonly SimServer[];
  now(): number;
  content(): StoreContent;
  /** Whether the guard of this host has been running without interruption for a while. */
  guardIsSound(node: number): boolean;
}

interface Established {
  readonly epoch: number;
  readonly server: SimServer;
}

/**
 * The invariants that must hold after every event. All acknowledged writes of the cluster form one line that only grows; its end is
 * the frontier, so that checking a promotion or an acknowledgement is a comparison of two log positions.
 */
export class Checks implements ServerObserver {
  readonly violations: Violation[] = [];
  readonly counts = { acked: 0, opened: 0, staleOpens: 0, asyncLostBytes: 0, refusedAcks: 0 };
  readonly #world: CheckWorld;
  /** Everything acknowledged under `sync`: no later leader may lack it, whatever the durability is then. */
  #frontier: WalEnd | null = null;
  /** Where that stood when an operator asked for `async`, which a leader needs a while to record. */
  #frontierWhenAsked: WalEnd | null = null;
  /** Everything acknowledged at all by the newest leader, with when. */
  #asyncAcks: { readonly at: number; readonly end: WalEnd }[] = [];
  #established: Established | null = null;
  readonly #leaders = new Map<number, string>();
  readonly #records = new Map<number, LeadershipRecord>();
  readonly #timelines = new Set<string>();
  /** What the leader of the record was chosen at, as a true log position. */
  #base: WalEnd | null = null;
  /** Where its `async` began, as one. */
  #floor: WalEnd | null = null;
  #forgivenEpoch = 0;
  #lastAckAt = 0;
  /** The longest time without an acknowledgement since the start or since `forgetGap`. */
  longestGapMs = 0;

  constructor(world: CheckWorld) {
    this.#world = world;
  }

  get establishedEpoch(): number {
    return this.#established?.epoch ?? 0;
  }

  forgetGap(): void {
    this.longestGapMs = 0;
  }

  /** The store was put back, and not restored yet: its record says nothing that could be checked. What was acknowledged still counts. */
  storeIsBack = false;
  /** Who opened meanwhile, by the life of its server: alone it may, for nobody told it; it must not acknowledge anything beside what was. */
  readonly #doubtful = new Map<SimServer, number>();

  fail(rule: string, text: string): void {
    if (this.violations.length < 10) this.violations.push({ atMs: this.#world.now(), rule, text });
  }

  /** I3 and I4: the record itself, at every change of the store. */
  onStoreChange(before: StoreContent, after: StoreContent): void {
    const old = before.record?.value;
    const record = after.record?.value;
    const isAsked = after.config?.value.durability === 'async';
    if (isAsked && before.config?.value.durability !== 'async') this.#frontierWhenAsked = this.#frontier;
    if (after.seals !== before.seals) for (const server of this.#world.servers) this.onReceiver(server);
    if (record === undefined || record === old) return;
    if (record.cause === 'store-restored' && record.epoch !== old?.epoch) this.storeIsBack = false;
    if (old === undefined || record.epoch !== old.epoch) this.#onNewEpoch(old, record);
    else if (record.leader !== old.leader) {
      this.fail('one-leader-per-epoch', `Epoch ${record.epoch} passed from ${old.leader} to ${record.leader}.`);
    }
    // A leader that is elected with it was chosen under the rules of `sync`: it holds everything.
    const isSameLead = record.epoch === old?.epoch;
    if (isSameLead && old?.durability === 'sync' && record.durability === 'async') this.#becomeAsync();
    if (record.floor !== old?.floor) this.#floor = this.#endOf(record, record.floor ?? null);
    this.#records.set(record.epoch, record);
    this.#checkElections(record);
    const leader = this.#serverOf(record);
    if (leader !== undefined) this.onRules(leader);
  }

  #onNewEpoch(old: LeadershipRecord | undefined, record: LeadershipRecord): void {
    const isOnWord = record.cause === 'store-restored' || record.cause === 'operator-override';
    if (isOnWord ? record.epoch <= (old?.epoch ?? 0) : record.epoch !== (old?.epoch ?? 0) + 1) {
      this.fail('epoch-monotonic', `The epoch went from ${old?.epoch ?? 0} to ${record.epoch}.`);
    }
    this.#base = this.#endOf(record, record.chosenAt);
    if (record.cause === 'operator-override') this.#forgive(old?.epoch ?? 0);
  }

  /** What was acknowledged after `async` had been asked for is as safe as what follows: within the bound. */
  #becomeAsync(): void {
    if (this.#frontier !== null) this.#asyncAcks.push({ at: this.#world.now(), end: this.#frontier });
    this.#frontier = this.#frontierWhenAsked;
  }

  /** The operator accepted that what the chosen node lacks is lost, and whatever the old leaders may still acknowledge. */
  #forgive(upTo: number): void {
    this.#forgivenEpoch = upTo;
    if (this.#frontier !== null && this.#base !== null) this.#frontier = commonEnd(this.#base, this.#frontier);
  }

  onOpen(server: SimServer): void {
    const epoch = Number(server.epoch);
    const name = `n${server.index + 1}`;
    const { branch } = server;
    if (branch === null) return;
    this.counts.opened += 1;
    if (this.storeIsBack) {
      this.#doubtful.set(server, server.life);
      return;
    }
    const holder = this.#leaders.get(epoch);
    if (holder !== undefined && holder !== name) {
      this.fail('one-leader-per-epoch', `${name} opened for epoch ${epoch}, which ${holder} had opened for.`);
    }
    this.#leaders.set(epoch, name);
    if (this.#records.get(epoch)?.leader !== name) {
      this.fail('opened-without-record', `${name} opened for epoch ${epoch}, which the store never gave it.`);
    }
    const timeline = `${branch.systemId}/${branch.timeline}`;
    if (this.#timelines.has(timeline))
      this.fail('timeline-unique', `Two promotions share timeline ${branch.timeline}.`);
    this.#timelines.add(timeline);
    if (epoch > this.establishedEpoch) this.#establish(server, epoch, name);
    else this.counts.staleOpens += 1;
    this.onRules(server);
  }

  /** I1: every acknowledged write is in each later established primary. */
  #establish(server: SimServer, epoch: number, name: string): void {
    const { branch } = server;
    const frontier = this.#frontier;
    if (branch === null) return;
    if (frontier !== null && !holds(branch, server.lsn, frontier.branch, frontier.lsn)) {
      this.fail(
        'acked-write-lost',
        `${name} opened for epoch ${epoch} at ${branch.timeline}@${server.lsn.toString(16)} without the acknowledged ${frontier.branch.timeline}@${frontier.lsn.toString(16)}.`,
      );
      this.#frontier = commonEnd({ branch, lsn: server.lsn }, frontier);
    }
    this.#checkAsyncLoss(server, branch, name);
    this.#established = { epoch, server };
  }

  /** In `async` what is lost stays within the limit plus what the old leader wrote after it was last heard. */
  #checkAsyncLoss(server: SimServer, branch: NonNullable<SimServer['branch']>, name: string): void {
    const lost = this.#asyncAcks.filter((ack) => !holds(branch, server.lsn, ack.end.branch, ack.end.lsn));
    const last = lost.at(-1);
    const first = lost[0];
    this.#asyncAcks = [];
    if (last === undefined || first === undefined || this.establishedEpoch <= this.#forgivenEpoch) return;
    const config = this.#world.content().config?.value;
    if (config === undefined) return;
    const unseenFrom = last.at - (2 * config.leaseTtlMs + 6000);
    const known = lost.filter((ack) => ack.at < unseenFrom).at(-1);
    const shared = commonEnd({ branch, lsn: server.lsn }, last.end);
    const start = shared?.lsn ?? 0;
    this.counts.asyncLostBytes += last.end.lsn - start;
    if (known !== undefined && known.end.lsn - start > config.maxLagOnFailoverBytes) {
      this.fail('async-loss-bound', `${name} lacks ${known.end.lsn - start} bytes that were acknowledged long before.`);
    }
  }

  /** I2: no acknowledgement by an epoch after a higher one was established, unless that one contains it. */
  onAck(server: SimServer, lsn: number): void {
    const { branch } = server;
    const established = this.#established;
    const epoch = Number(server.epoch);
    if (branch === null || established === null || epoch <= this.#forgivenEpoch) return;
    if (this.#doubtful.get(server) === server.life) this.#checkDoubtful(server);
    this.counts.acked += 1;
    const now = this.#world.now();
    this.longestGapMs = Math.max(this.longestGapMs, now - this.#lastAckAt);
    this.#lastAckAt = now;
    const durability = this.#records.get(epoch)?.durability ?? 'sync';
    if (epoch < established.epoch) {
      this.#checkLateAck(server, lsn, epoch, established, durability);
      return;
    }
    if (durability === 'async') {
      this.#asyncAcks.push({ at: now, end: { branch, lsn } });
      if (this.#asyncAcks.length > 4000) this.#asyncAcks.splice(0, 2000);
      return;
    }
    this.#frontier = { branch, lsn };
    const record = this.#world.content().record?.value;
    if (record?.epoch === server.epoch) this.#checkElections(record);
  }

  /** Whoever opened on a store that was put back acknowledges only on top of everything that was acknowledged before. */
  #checkDoubtful(server: SimServer): void {
    const frontier = this.#frontier;
    if (frontier === null || this.#has(server, frontier)) return;
    this.fail(
      'acked-beside',
      `n${server.index + 1} acknowledged on a store that was put back, without what was acknowledged before.`,
    );
  }

  #checkLateAck(
    server: SimServer,
    lsn: number,
    epoch: number,
    established: Established,
    durability: 'sync' | 'async',
  ): void {
    const newest = established.server;
    if (server.branch === null || newest.branch === null) return;
    if (holds(newest.branch, newest.lsn, server.branch, lsn)) return;
    const name = `n${server.index + 1}`;
    if (durability === 'async' && !this.#world.guardIsSound(server.index)) return;
    this.fail(
      durability === 'async' ? 'two-holders' : 'ack-after-successor',
      `${name} acknowledged ${server.branch.timeline}@${lsn.toString(16)} in epoch ${epoch}, after epoch ${established.epoch} had opened without it.`,
    );
  }

  /** I5: no set that can acknowledge now misses every set that an election would accept. */
  onRules(server: SimServer): void {
    const record = this.#world.content().record?.value;
    if (this.storeIsBack || server.process !== 'primary' || record === undefined || record.epoch !== server.epoch)
      return;
    if (record.durability === 'async') return;
    const hole = ruleHole(server, record);
    if (hole !== null) this.fail('ack-set-misses-election', `n${server.index + 1}, epoch ${record.epoch}: ${hole}`);
  }

  /** A holder never believes in its lease for longer than the store does. Both in true time. */
  onLease(member: string, believedUntil: number, storeUntil: number): void {
    if (believedUntil <= storeUntil) return;
    this.fail(
      'lease-outlives-store',
      `${member} takes its lease for valid ${(believedUntil - storeUntil).toFixed(0)} ms longer than the store does.`,
    );
  }

  /**
   * No node whose seal counts receives anything, but from a replica whose seal counts too: what it acknowledged to a primary from then on
   * would be missing from the election.
   */
  onReceiver(server: SimServer): void {
    if (this.storeIsBack || server.receiver === null || !hasStandbyName(server.receiver)) return;
    const content = this.#world.content();
    const seal = content.seals.get(memberName(server))?.value;
    if (seal === undefined || seal.epoch !== content.record?.value.epoch) return;
    const { source } = server.receiver;
    const isSealedToo = content.seals.get(memberName(source))?.value.epoch === seal.epoch;
    if (isSealedToo && source.process !== 'primary' && server.receiver.account !== 'ack') return;
    if (isSealedToo && source.process !== 'primary' && server.flavour === 'postgres') return;
    this.fail(
      'sealed-and-receiving',
      `n${server.index + 1} receives log while its seal for epoch ${seal.epoch} counts.`,
    );
  }

  /** No copy that is needed is thrown away. */
  onCopyChanged(server: SimServer, how: CopyChange): void {
    const record = this.#world.content().record?.value;
    const frontier = this.#frontier;
    if (frontier === null || record === undefined) return;
    const copies = this.#world.servers.filter((each) => this.#has(each, frontier)).length;
    // What is cut off on purpose must not have been one of the two copies that an acknowledgement stands for.
    if (how === 'cut back' && copies === 1 && record.rule.required > 0)
      this.fail(
        'copy-cut-early',
        `n${server.index + 1} was cut back; one copy alone holds every acknowledged write now.`,
      );
    if (copies === 0)
      this.fail('last-copy-gone', `n${server.index + 1} was ${how}; no copy holds every acknowledged write now.`);
    this.#checkElections(record);
  }

  /** Whether an election under `record` could, right now, choose a leader that lacks an acknowledged write. */
  #checkElections(record: LeadershipRecord): void {
    const frontier = this.#frontier;
    if (this.storeIsBack || frontier === null || record.durability === 'async') return;
    const bases = [this.#base, this.#floor].filter((base) => base !== null);
    const lacks = (server: SimServer): boolean => !this.#has(server, frontier);
    const mayLead = (server: SimServer): boolean => bases.every((base) => this.#has(server, base));
    const who = electableWithout(this.#world.servers, record, lacks, mayLead);
    if (who === null) return;
    this.fail(
      'election-could-lose',
      `Under the record of epoch ${record.epoch} an election by ${who} would be accepted and lack the acknowledged ${frontier.branch.timeline}@${frontier.lsn.toString(16)}.`,
    );
  }

  /** Whether this server opened on a store that was put back. */
  isDoubtful(server: SimServer): boolean {
    return this.#doubtful.has(server);
  }

  /** Whether this server holds everything that was acknowledged. */
  holdsAll(server: SimServer): boolean {
    return this.#frontier === null || this.#has(server, this.#frontier);
  }

  #has(server: SimServer, end: WalEnd): boolean {
    return server.disk === 'data' && server.branch !== null && holds(server.branch, server.lsn, end.branch, end.lsn);
  }

  /** `position` of the leader of `record`, as a true log position. */
  #endOf(record: LeadershipRecord, position: Position | null): WalEnd | null {
    const branch = this.#serverOf(record)?.branch ?? null;
    if (branch === null || position === null) return null;
    return { branch: branchAt(branch, extentOf(position)), lsn: extentOf(position) };
  }

  #serverOf(record: LeadershipRecord): SimServer | undefined {
    return this.#world.servers[Number(record.leader.slice(1)) - 1];
  }
}
