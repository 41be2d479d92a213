import {
  type ClusterConfig,
  type Commit,
  DEFAULT_CONFIG,
  type Incarnation,
  leaseUntil,
  type MemberId,
  type Ms,
  newerMark,
  type StoreContent,
  type StoreMark,
  type StorePut,
  type StoreView,
  storePast,
} from '@understudy/core';
import type { NodeIndex } from '../net/net.ts';
import type { SimStore, StoreAnswer, StoreCall } from '../store/sim-store.ts';
import type { SimProcess } from './process.ts';

const CALL_DEADLINE_MS = 1000;
const RETRY_MS = 400;
/** Without an answer for this long of real time (a freeze counts) the view is stale, whatever was heard before. */
const STALE_AFTER_MS = 3000;
const READ_EVERY_RENEWALS = 4;

export type CommitEnding = 'committed' | 'rejected' | 'unknown';

/**
 * An agent's side of the store: keeps the session's lease, follows the watch, carries out transactions. A transaction whose outcome is
 * unknown is never sent again: the store is read, and the decision is made anew.
 */
export class StoreSession {
  readonly #store: SimStore;
  readonly #node: NodeIndex;
  readonly #process: SimProcess;
  readonly #member: MemberId;
  readonly #incarnation: Incarnation;
  readonly #register: () => readonly StorePut[];
  readonly #changed: () => void;
  readonly #onLease: (believedUntil: number, storeUntil: number) => void;
  #content: StoreContent | null = null;
  #revision = -1;
  #era = -1;
  #known: StoreMark | null = null;
  /** What the store holds is older than what is known. */
  #refused = false;
  #lease: { readonly id: number; readonly ttlMs: number } | null = null;
  #leaseUntil: Ms | null = null;
  #failing = false;
  #lastAnswerAt: Ms | null = null;
  #silentSinceRun = 0;
  #renewals = 0;

  constructor(options: {
    readonly store: SimStore;
    readonly node: NodeIndex;
    readonly process: SimProcess;
    readonly member: MemberId;
    readonly incarnation: Incarnation;
    readonly register: () => readonly StorePut[];
    readonly changed: () => void;
    /** Told after every renewal until when, in true time, the agent and the store take the lease for valid. */
    readonly onLease: (believedUntil: number, storeUntil: number) => void;
  }) {
    this.#store = options.store;
    this.#node = options.node;
    this.#process = options.process;
    this.#member = options.member;
    this.#incarnation = options.incarnation;
    this.#register = options.register;
    this.#changed = options.changed;
    this.#onLease = options.onLease;
  }

  start(): void {
    this.#refresh(() => {
      if (this.#content !== null) this.#keepSession();
      else this.#process.later(RETRY_MS, () => this.start());
    });
  }

  /** Begins with what an earlier agent noted. */
  remember(mark: StoreMark | null): void {
    this.#known = mark;
  }

  get known(): StoreMark | null {
    return this.#known;
  }

  get refused(): boolean {
    return this.#refused;
  }

  get leaseUntil(): Ms | null {
    return this.#leaseUntil;
  }

  get content(): StoreContent | null {
    return this.#content;
  }

  get config(): ClusterConfig {
    return this.#content?.config?.value ?? DEFAULT_CONFIG;
  }

  /** The store as the protocol sees it; `runMs` is the running time of the agent. */
  view(runMs: number): StoreView {
    const content = this.#content;
    if (content === null || this.#lastAnswerAt === null) {
      return this.#refused ? { kind: 'never', problem: 'The store went back' } : { kind: 'never' };
    }
    const ageMs = this.#process.localNow() - this.#lastAnswerAt;
    if (!this.#failing && !this.#refused && ageMs <= STALE_AFTER_MS) {
      this.#silentSinceRun = runMs;
      return { kind: 'current', content };
    }
    return { kind: 'stale', content, silentMs: runMs - this.#silentSinceRun };
  }

  /** The watch delivered. */
  deliver(content: StoreContent, revision: number): void {
    const { era } = this.#store;
    if (era === this.#era && revision <= this.#revision) return;
    const mark = markOf(content);
    const told = this.#store.registers.history.get(this.#known?.record.epoch ?? 0) ?? null;
    if (storePast(this.#known, mark, told).kind === 'went-back') {
      if (!this.#refused) this.#changed();
      this.#refused = true;
      return;
    }
    this.#refused = false;
    this.#known = newerMark(this.#known, mark);
    this.#era = era;
    this.#revision = revision;
    this.#content = content;
    this.#changed();
  }

  /** Carries out one transaction and reads the store again, whatever came of it. */
  commit(commit: Commit, done: (ending: CommitEnding) => void): void {
    this.#call({ kind: 'transact', commit }, (answer) => {
      const ending = endingOf(answer);
      this.#refresh(() => done(ending));
    });
  }

  /** Reads everything; until that succeeds the view counts as stale. */
  #refresh(done: () => void): void {
    this.#call({ kind: 'read' }, (answer) => {
      this.#failing = answer?.kind !== 'read';
      if (answer?.kind === 'read') this.deliver(answer.content, answer.revision);
      done();
    });
  }

  #keepSession(): void {
    const sentAt = this.#process.localNow();
    const { leaseTtlMs } = this.config;
    const lease = this.#lease;
    // Another time to live needs another lease, which takes the session's key over; a stale registration is written again with it.
    const call: StoreCall =
      lease === null || lease.ttlMs !== leaseTtlMs || !this.#isRegistered()
        ? {
            kind: 'open-session',
            member: this.#member,
            incarnation: this.#incarnation,
            ttlMs: leaseTtlMs,
            is: this.#content?.sessions.get(this.#member)?.revision ?? 'absent',
            puts: this.#register(),
          }
        : { kind: 'keep-alive', lease: lease.id };
    // Another lease may take the key over although its answer gets lost: from now on only what both would grant is certain.
    if (call.kind === 'open-session') this.#believeAtMost(leaseUntil(sentAt, leaseTtlMs));
    this.#call(call, (answer) => {
      const again = this.#renewed(answer, sentAt, leaseTtlMs);
      this.#process.later(again, () => this.#keepSession());
    });
  }

  #believeAtMost(until: Ms): void {
    if (this.#leaseUntil !== null && this.#leaseUntil > until) this.#leaseUntil = until;
  }

  /** Whether the store shows this member as it is now. */
  #isRegistered(): boolean {
    if (this.#content === null) return true;
    const shown = this.#content.members.get(this.#member);
    return this.#register().every((put) => JSON.stringify(put.value) === JSON.stringify(shown));
  }

  /** Takes in the answer to a renewal; returns when to send the next. */
  #renewed(answer: StoreAnswer | null, sentAt: Ms, ttlMs: number): number {
    switch (answer?.kind) {
      case 'session':
        this.#lease = { id: answer.lease, ttlMs };
        break;
      case 'alive':
        break;
      case 'rejected':
        this.#refresh(() => {});
        return RETRY_MS;
      case 'expired':
        this.#lease = null;
        this.#leaseUntil = null;
        return 1;
      default:
        this.#failing = true;
        if (this.#era !== this.#store.era) this.#refresh(() => {});
        return RETRY_MS;
    }
    this.#leaseUntil = leaseUntil(sentAt, ttlMs);
    this.#showLease(this.#leaseUntil);
    this.#renewals += 1;
    if (this.#failing || this.#renewals % READ_EVERY_RENEWALS === 0) this.#refresh(() => {});
    return ttlMs / 4;
  }

  #showLease(until: Ms): void {
    const end = this.#lease === null ? null : this.#store.leaseEnd(this.#lease.id);
    if (end !== null) this.#onLease(this.#process.clock.trueTime(until), end);
  }

  /** Sends a call; `done` gets the answer, or null after the deadline. */
  #call(call: StoreCall, done: (answer: StoreAnswer | null) => void): void {
    let ended = false;
    const process = this.#process;
    const { life } = process;
    const end = (answer: StoreAnswer | null): void => {
      if (ended) return;
      ended = true;
      if (answer !== null && answer.kind !== 'unavailable') this.#lastAnswerAt = process.localNow();
      done(answer);
    };
    this.#store.request(this.#node, call, (answer) => process.runIn(life, () => end(answer)), this.#era);
    process.later(CALL_DEADLINE_MS, () => end(null));
  }
}

function endingOf(answer: StoreAnswer | null): CommitEnding {
  if (answer?.kind === 'committed') return 'committed';
  if (answer?.kind === 'rejected') return 'rejected';
  return 'unknown';
}

function markOf(content: StoreContent): StoreMark | null {
  const { record, storeId = '' } = content;
  return record === null ? null : { storeId, revision: record.revision, record: record.value };
}
