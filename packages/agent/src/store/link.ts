import { reasonOf } from '@understudy/base';
/** This agent's link to the consensus store: the last snapshot, how fresh it is, and transactions whose results show at once. */

import {
  type Commit,
  type Epoch,
  type HistoryEntry,
  type LeadershipRecord,
  newerMark,
  type StoreMark,
  type StorePast,
  type StoreView,
  storePast,
} from '@understudy/core';
import { type Snapshot, type Store, StoreError, type Watch, type Write } from '@understudy/store';
import { applyWrites, type DecodedSnapshot, decodeSnapshot, encodeCommit } from '../codec/content.ts';
import { encodeStoreValue, StoreValueError } from '../codec/store-values.ts';
import { AgentError } from '../errors.ts';

type Compares = Parameters<Store['transact']>[0];

function regression(store: string, seen: string): AgentError {
  return new AgentError(
    'STORE_REGRESSED',
    `${store} ${seen}, which this agent has seen: it was emptied, put back to an older state, or is another one. Nothing is decided on it.`,
    { next: 'Correct the address, restore the store, or run `understudy restore-store` (docs/store.md).' },
  );
}

/** The newest leadership that a snapshot shows; null when it shows none. */
export function markOf(snapshot: Snapshot, decoded: DecodedSnapshot): StoreMark | null {
  const { record } = decoded.content;
  return record === null ? null : { storeId: snapshot.storeId, revision: record.revision, record: record.value };
}

function pastOf(known: StoreMark | null, seen: StoreMark | null, { history }: DecodedSnapshot): StorePast {
  return storePast(known, seen, history.find(({ epoch }) => epoch === known?.record.epoch) ?? null);
}

/** The store answers, but not as the one that was known: it is looked at anew. */
const ANOTHER = new Set<string>(['wrong-cluster', 'revision-went-back']);
const LOOK_DEADLINE_MS = 1_000;
/** The store answers and takes no writes: an alarm, for nobody can be elected. */
const REFUSED_WRITES = new Set<string>(['store-full', 'unauthorized', 'permission-denied', 'io-error']);
/** What a restored store gets of the history. */
const HISTORY_RESTORED = 64;

export type TransactOutcome =
  | { readonly kind: 'committed' }
  /** Something else was there; a fresh snapshot has been read since, unless the store failed. */
  | { readonly kind: 'rejected' };

export interface LinkOptions {
  readonly store: Store;
  /** Running time of this process, in ms: silences are measured on it. */
  readonly runningMs: () => number;
  /** Called when the content changed. */
  readonly onContent: () => void;
}

export class StoreLink {
  readonly #options: LinkOptions;
  #watch: Watch | null = null;
  #snapshot: Snapshot | null = null;
  #decoded: DecodedSnapshot | null = null;
  /** Why the newest snapshot is not acted on: one of its values is not understood, or it is older than what was known before. */
  #refusal: AgentError | null = null;
  /** The newest snapshot that was refused because the store had gone back. `aside`: it was looked at past a store that refuses it. */
  #regressed: { readonly snapshot: Snapshot; readonly how: 'read' | 'aside' } | null = null;
  /** The newest leadership that was ever seen. */
  #known: StoreMark | null = null;
  #looking: Promise<void> | null = null;
  /** The last write that the store refused, until one succeeds. */
  #refusedWrite: { readonly error: StoreError; readonly sinceMs: number } | null = null;
  #trouble: Error | null = null;
  #contactMs: number | null = null;
  #generation = 0;
  /** The snapshot comes from an earlier life of this agent, not from the store. */
  #isRemembered = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /**
   * Begins with what an earlier agent of this node knew, until the store answers: the view is stale. A primary that still collects its
   * acknowledgements can then go on under a new agent although the store is down.
   */
  remember(snapshot: Snapshot): void {
    if (this.#snapshot !== null && !this.#isRemembered) return;
    let decoded: DecodedSnapshot;
    try {
      decoded = decodeSnapshot(snapshot);
    } catch {
      // Written by another version, or damaged: then nothing is remembered.
      return;
    }
    const mark = markOf(snapshot, decoded);
    if (pastOf(this.#known, mark, decoded).kind !== 'goes-on') return;
    this.#known = newerMark(this.#known, mark);
    this.#decoded = decoded;
    this.#snapshot = snapshot;
    this.#isRemembered = true;
    this.#trouble = new Error('The store has not answered yet.');
    this.#generation++;
    this.#options.onContent();
  }

  start(): void {
    this.#watch ??= this.#options.store.watch({
      onSnapshot: (snapshot) => this.#take(snapshot),
      onError: (error) => this.#failed(error),
    });
  }

  async stop(): Promise<void> {
    await this.#watch?.close();
    this.#watch = null;
    await this.#looking;
  }

  /** The newest leadership that was ever seen, also by an earlier agent of this node. */
  get known(): StoreMark | null {
    return this.#known;
  }

  /** The epoch that the store holds although it is not believed; null when it holds none, or is believed. */
  get refusedEpoch(): Epoch | null {
    if (this.#regressed === null) return null;
    try {
      return decodeSnapshot(this.#regressed.snapshot).content.record?.value.epoch ?? null;
    } catch {
      return null;
    }
  }

  /** Why what the store holds is not acted on; null when it is. */
  get refusal(): string | null {
    return this.#refusal?.message ?? null;
  }

  /** Why the store takes no writes; null when it does, as far as anybody tried. */
  get refusedWrite(): string | null {
    return this.#refusedWrite?.error.message ?? null;
  }

  /** Grows whenever the content may have changed. */
  get generation(): number {
    return this.#generation;
  }

  /** The last snapshot that could be decoded. */
  get decoded(): DecodedSnapshot | null {
    return this.#decoded;
  }

  get snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  get name(): string {
    return this.#options.store.describe();
  }

  /** What is wrong between this agent and the store; null when nothing is. */
  get problem(): string | null {
    return (this.#refusal ?? this.#trouble)?.message ?? null;
  }

  /** For how long, in running time, nothing has come from the store; null when nothing ever has. */
  get silentMs(): number | null {
    return this.#contactMs === null ? null : Math.max(0, this.#options.runningMs() - this.#contactMs);
  }

  /** What a decision sees of the store. A snapshot that could not be understood makes the last understood one stale. */
  view(): StoreView {
    if (this.#decoded === null) {
      return this.#refusal === null ? { kind: 'never' } : { kind: 'never', problem: this.#refusal.message };
    }
    const { content } = this.#decoded;
    if (this.#trouble === null && this.#refusal === null) {
      const { refusedWrite } = this;
      return refusedWrite === null
        ? { kind: 'current', content }
        : { kind: 'current', content, refusesWrites: refusedWrite };
    }
    return { kind: 'stale', content, silentMs: this.silentMs ?? 0 };
  }

  /** Reads everything, linearizably. @throws StoreError; the view is stale then */
  async refresh(deadlineMs: number): Promise<void> {
    try {
      this.#take(await this.#options.store.read({ deadlineMs }));
    } catch (error) {
      this.#failed(error);
      throw error;
    }
  }

  /** Notes that a call outside of this class (a renewal) reached the store, or failed to. */
  noteContact(failure: StoreError | null): void {
    if (failure === null) {
      this.#reached();
      return;
    }
    // The local store cannot renew on a full disk either, so that no probe of writes would follow. `unauthorized` may be about reading.
    if (failure.code !== 'unauthorized') this.#noteWrite(failure);
    this.#failed(failure);
  }

  /**
   * Carries out a decided commit. Never retried: when its outcome is unknown, the store is read before anything else is decided.
   * @throws StoreError
   */
  commit(commit: Commit, deadlineMs: number): Promise<TransactOutcome> {
    const { compares, writes } = encodeCommit(commit);
    return this.transact(compares, writes, deadlineMs);
  }

  /** One compare-and-swap, the result of which is in the view when this resolves. @throws StoreError */
  async transact(compares: Compares, writes: readonly Write[], deadlineMs: number): Promise<TransactOutcome> {
    try {
      const result = await this.#options.store.transact(compares, writes, { deadlineMs });
      this.#reached();
      this.#noteWrite(null);
      if (result.kind === 'committed') {
        await this.#show(writes, result.revision, deadlineMs);
        return { kind: 'committed' };
      }
    } catch (error) {
      await this.#afterFailedTransaction(error, deadlineMs);
      throw error;
    }
    await this.refresh(deadlineMs);
    return { kind: 'rejected' };
  }

  /**
   * Makes an applied transaction visible. Only when nothing was written in between do its writes on top of the last snapshot make the
   * content of `revision`; otherwise the store is read, for what others wrote must not be missing from a snapshot that claims to be newer.
   */
  async #show(writes: readonly Write[], revision: Snapshot['revision'], deadlineMs: number): Promise<void> {
    const before = this.#snapshot;
    if (before === null || this.#isRemembered || before.revision > revision) return;
    if (before.revision + 1 === revision) return this.#take(applyWrites(before, writes, revision));
    // The transaction is applied whatever becomes of this read; if it fails, the view is stale and says so.
    await this.refresh(deadlineMs).catch(() => undefined);
  }

  async #afterFailedTransaction(error: unknown, deadlineMs: number): Promise<void> {
    if (!(error instanceof StoreError)) return this.#failed(error);
    this.#noteWrite(error);
    if (error.retry !== 'unknown') {
      if (ANOTHER.has(error.code)) this.#failed(error);
      if (error.code === 'unavailable' || error.code === 'deadline-exceeded') this.#failed(error);
      return;
    }
    this.#failed(error);
    // Whether it was applied shows only in a read; if that fails too, the view stays stale and says so.
    await this.refresh(deadlineMs).catch(() => undefined);
  }

  #take(snapshot: Snapshot): void {
    this.#reached();
    const before = this.#isRemembered ? null : this.#snapshot;
    if (before !== null && snapshot.storeId === before.storeId && snapshot.revision < before.revision) return;
    const changed = before === null || snapshot.storeId !== before.storeId || snapshot.revision !== before.revision;
    if (!changed && this.#refusal === null) return;
    this.#judge(snapshot, 'read');
  }

  #judge(snapshot: Snapshot, how: 'read' | 'aside'): void {
    try {
      this.#accept(snapshot, decodeSnapshot(snapshot), how);
    } catch (error) {
      if (!(error instanceof StoreValueError)) throw error;
      this.#refusal = error;
    }
    this.#generation++;
    this.#options.onContent();
  }

  /** Takes a snapshot over, unless it would make this agent forget what it has seen: the store must never go back (`docs/store.md`). */
  #accept(snapshot: Snapshot, decoded: DecodedSnapshot, how: 'read' | 'aside'): void {
    const mark = markOf(snapshot, decoded);
    const past = pastOf(this.#known, mark, decoded);
    if (past.kind === 'went-back') {
      this.#regressed = { snapshot, how };
      this.#refusal = regression(this.name, past.text);
      return;
    }
    // What was looked at aside is read again once the store itself has taken it over.
    if (how === 'aside') return;
    this.#regressed = null;
    this.#snapshot = snapshot;
    this.#isRemembered = false;
    this.#decoded = decoded;
    this.#refusal = null;
    this.#known = newerMark(this.#known, mark);
  }

  /**
   * The store refuses to answer because it is another one, or an older state: looks what is there now. A store that was restored in
   * the meantime is taken over; any other one is refused like one that was seen to go back.
   */
  async #lookAnew(): Promise<void> {
    const { store } = this.#options;
    try {
      const snapshot = await store.look({ deadlineMs: LOOK_DEADLINE_MS });
      const decoded = decodeSnapshot(snapshot);
      if (pastOf(this.#known, markOf(snapshot, decoded), decoded).kind === 'went-back')
        return this.#judge(snapshot, 'aside');
      await this.#adopt(snapshot);
      await this.refresh(LOOK_DEADLINE_MS);
    } catch (error) {
      // Said already that the store cannot be used; the next failure makes it be looked at again.
      if (error instanceof StoreValueError) this.#refusal = error;
    }
  }

  async #adopt(snapshot: Snapshot): Promise<void> {
    await this.#options.store.adopt(snapshot);
    // Revisions begin anew: the next snapshot is not compared with the last one by them.
    this.#isRemembered = true;
    this.#trouble ??= new Error('The store has not answered yet.');
  }

  /**
   * Writes what this agent knew last back into a store that went back, as the epoch that was decided (`planRestore`).
   * @throws AgentError `STORE_NOT_REGRESSED`; StoreError
   */
  async restore(record: LeadershipRecord, history: HistoryEntry, deadlineMs: number): Promise<void> {
    const [lost, known] = [this.#regressed, this.#snapshot];
    if (lost === null || known === null) {
      throw new AgentError('STORE_NOT_REGRESSED', 'The store has not gone back; there is nothing to restore.');
    }
    if (lost.how === 'aside') await this.#adopt(lost.snapshot);
    this.#isRemembered = true;
    const compares: Compares = ['identity', 'record', 'config'].map((key) => {
      const there = lost.snapshot.entries.get(key);
      return there === undefined ? { kind: 'absent', key } : { kind: 'unchanged', key, modRevision: there.modRevision };
    });
    const result = await this.transact(compares, restoredWrites(known, record, history), deadlineMs);
    if (result.kind === 'rejected') {
      throw new AgentError('STORE_MOVED', 'Somebody else wrote to the store at the same time.', { next: 'Ask again.' });
    }
    await this.refresh(deadlineMs);
  }

  /** Whether a write was refused by the store itself: kept until one succeeds. */
  #noteWrite(error: StoreError | null): void {
    if (error !== null && !REFUSED_WRITES.has(error.code)) return;
    const before = this.#refusedWrite;
    this.#refusedWrite = error === null ? null : { error, sinceMs: before?.sinceMs ?? this.#options.runningMs() };
    if ((before === null) === (error === null)) return;
    this.#generation++;
    this.#options.onContent();
  }

  /**
   * Whether the store takes writes, asked with one that can never be applied. A store that is full, or has lost its rights, renews leases
   * and answers reads as if nothing were the matter. Never throws.
   */
  async probeWrites(deadlineMs: number): Promise<void> {
    const key = 'probe';
    const never: Compares = [
      { kind: 'absent', key },
      { kind: 'exists', key },
    ];
    try {
      await this.#options.store.transact(never, [{ kind: 'put', key, value: '' }], { deadlineMs });
      this.#noteWrite(null);
    } catch (error) {
      if (error instanceof StoreError) this.#noteWrite(error);
    }
  }

  #reached(): void {
    const wasTroubled = this.#trouble !== null;
    this.#trouble = null;
    this.#contactMs = this.#options.runningMs();
    if (wasTroubled) this.#options.onContent();
  }

  #failed(error: unknown): void {
    const first = this.#trouble === null;
    this.#trouble = error instanceof Error ? error : new Error(reasonOf(error));
    if (error instanceof StoreError && ANOTHER.has(error.code)) {
      this.#looking ??= this.#lookAnew().finally(() => {
        this.#looking = null;
      });
    }
    if (first) this.#options.onContent();
  }
}

function restoredWrites(known: Snapshot, record: LeadershipRecord, entry: HistoryEntry): readonly Write[] {
  const kept = [...known.entries.values()];
  const history = kept.filter(({ key }) => key.startsWith('history/')).slice(-HISTORY_RESTORED);
  const standing = kept.filter(({ key }) => key === 'identity' || key === 'config' || key.startsWith('members/'));
  // What an old copy let in may have left an entry of that number: members compare with it.
  const open = `history/${known.entries.has('record') ? decodeSnapshot(known).content.record?.value.epoch : ''}`;
  const stray: readonly Write[] = known.entries.has(open) ? [] : [{ kind: 'delete', key: open }];
  return [
    ...stray,
    ...[...standing, ...history].map(({ key, value }): Write => ({ kind: 'put', key, value })),
    { kind: 'put', key: 'record', value: encodeStoreValue(record) },
    { kind: 'put', key: `history/${entry.epoch}`, value: encodeStoreValue(entry) },
    // What was asked for at the time of an old copy is not carried out now.
    { kind: 'delete', key: 'request' },
  ];
}
