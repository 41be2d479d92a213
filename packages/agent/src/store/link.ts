/** This agent's link to the consensus store: the last snapshot, how fresh it is, and transactions whose results show at once. */

import type { Commit, StoreView } from '@understudy/core';
import { type Snapshot, type Store, StoreError, type Watch, type Write } from '@understudy/store';
import { applyWrites, type DecodedSnapshot, decodeSnapshot, encodeCommit } from '../codec/content.ts';
import { StoreValueError } from '../codec/store-values.ts';
import { AgentError, messageOf } from '../errors.ts';

type Compares = Parameters<Store['transact']>[0];

function regression(store: string, known: number, found: number | null): AgentError {
  const what = found === null ? 'holds no leadership record' : `is at epoch ${found}`;
  return new AgentError(
    'STORE_REGRESSED',
    'unsafe',
    `${store} ${what}, though this agent has seen epoch ${known}: it was emptied, put back to an older state, or is another one. ` +
      'Nothing is decided on it. Correct the address, restore the store, or, on a healthy primary, run `understudy restore-store` (docs/store.md).',
  );
}

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
  /** The newest snapshot that was refused because the store had gone back. */
  #regressed: Snapshot | null = null;
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
    if (this.#snapshot !== null) return;
    try {
      this.#decoded = decodeSnapshot(snapshot);
    } catch {
      // Written by another version, or damaged: then nothing is remembered.
      return;
    }
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
    if (this.#decoded === null) return { kind: 'never' };
    const { content } = this.#decoded;
    if (this.#trouble === null && this.#refusal === null) return { kind: 'current', content };
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
    if (failure === null) this.#reached();
    else this.#failed(failure);
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
    if (error.retry !== 'unknown') {
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
    try {
      this.#accept(snapshot, decodeSnapshot(snapshot));
    } catch (error) {
      if (!(error instanceof StoreValueError)) throw error;
      this.#refusal = error;
    }
    this.#generation++;
    this.#options.onContent();
  }

  /** Takes a snapshot over, unless it would make this agent forget an epoch: the store must never go back (`docs/store.md`). */
  #accept(snapshot: Snapshot, decoded: DecodedSnapshot): void {
    const known = this.#decoded?.content.record?.value.epoch ?? null;
    const found = decoded.content.record?.value.epoch ?? null;
    if (known !== null && (found === null || found < known)) {
      this.#regressed = snapshot;
      this.#refusal = regression(this.name, known, found);
      return;
    }
    this.#regressed = null;
    this.#snapshot = snapshot;
    this.#isRemembered = false;
    this.#decoded = decoded;
    this.#refusal = null;
  }

  /**
   * Writes what this agent knew last back into a store that was emptied or put back to an older state. Only for the operator of a healthy
   * primary (the caller checks that): nobody can have been elected meanwhile, for its ackers still answer to it.
   * @throws AgentError `STORE_NOT_REGRESSED`; StoreError
   */
  async restore(deadlineMs: number): Promise<void> {
    const [lost, known] = [this.#regressed, this.#snapshot];
    if (lost === null || known === null) {
      throw new AgentError(
        'STORE_NOT_REGRESSED',
        'unsafe',
        'The store has not gone back; there is nothing to restore.',
      );
    }
    const keys = ['identity', 'record', 'config'];
    const compares: Compares = keys.map((key) => {
      const there = lost.entries.get(key);
      return there === undefined ? { kind: 'absent', key } : { kind: 'unchanged', key, modRevision: there.modRevision };
    });
    const writes = [...known.entries.values()]
      .filter(({ key }) => keys.includes(key) || key.startsWith('history/') || key.startsWith('members/'))
      .map(({ key, value }): Write => ({ kind: 'put', key, value }));
    await this.transact(compares, writes, deadlineMs);
    await this.refresh(deadlineMs);
  }

  #reached(): void {
    const wasTroubled = this.#trouble !== null;
    this.#trouble = null;
    this.#contactMs = this.#options.runningMs();
    if (wasTroubled) this.#options.onContent();
  }

  #failed(error: unknown): void {
    const first = this.#trouble === null;
    this.#trouble = error instanceof Error ? error : new Error(messageOf(error));
    if (first) this.#options.onContent();
  }
}
