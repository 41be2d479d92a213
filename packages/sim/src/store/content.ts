import {
  applyPut,
  type Commit,
  EMPTY_CONTENT,
  type HistoryEntry,
  type Revision,
  revision,
  type StoreContent,
  type StoreKey,
  type StoreWrite,
} from '@understudy/core';

/** What the simulated store holds before anything was written to it. */
const NOTHING: StoreContent = { ...EMPTY_CONTENT, storeId: 'store' };

/** A state of the store, kept for the day when somebody puts it back. */
export interface SavedState {
  readonly content: StoreContent;
  readonly revision: number;
  readonly revisions: ReadonlyMap<StoreKey, Revision>;
  readonly history: ReadonlyMap<number, HistoryEntry>;
}

/**
 * A linearizable register of the cluster's keys: every change makes a new immutable content at the next revision. `revisions` knows
 * the keys that no observation carries too (history, outcomes), because transactions may expect their absence.
 */
export class Registers {
  content: StoreContent = NOTHING;
  revision = 0;
  #revisions = new Map<StoreKey, Revision>();
  /** Who led each epoch that opened. */
  history: ReadonlyMap<number, HistoryEntry> = new Map();
  readonly outcomes: { readonly id: string; readonly result: string; readonly reason: string }[] = [];

  revisionOf(key: StoreKey): Revision | null {
    return this.#revisions.get(key) ?? null;
  }

  save(): SavedState {
    return {
      content: this.content,
      revision: this.revision,
      revisions: new Map(this.#revisions),
      history: this.history,
    };
  }

  /** Back to an older state, without the sessions of that time; null: to nothing. */
  putBack(state: SavedState | null): void {
    this.revision = state?.revision ?? 0;
    this.content = { ...(state?.content ?? NOTHING), sessions: new Map() };
    const kept = [...(state?.revisions ?? [])].filter(([key]) => !key.startsWith('sessions/'));
    this.#revisions = new Map(kept);
    this.history = state?.history ?? new Map();
  }

  /** Whether everything that `commit` expects is so. */
  accepts(commit: Commit): boolean {
    return commit.expect.every(({ key, is }) => {
      const present = this.#revisions.get(key);
      return is === 'absent' ? present === undefined : present === is;
    });
  }

  /** Applies `puts` together, at one new revision, which is returned. */
  put(puts: readonly StoreWrite[]): Revision {
    this.revision += 1;
    const at = revision(this.revision);
    let content = this.content;
    for (const put of puts) {
      if (put.value === 'delete') this.#revisions.delete(put.key);
      else this.#revisions.set(put.key, at);
      if (put.key.startsWith('outcomes/')) this.#noteOutcome(put);
      if (put.key.startsWith('history/')) this.#noteHistory(put.value);
      content = applyPut(content, put, at);
    }
    this.content = content;
    return at;
  }

  #noteHistory(value: StoreWrite['value']): void {
    if (typeof value !== 'object' || !('wallMs' in value) || !('timeline' in value)) return;
    this.history = new Map([...this.history, [value.epoch, value]]);
  }

  #noteOutcome(put: StoreWrite): void {
    const value = put.value;
    if (typeof value !== 'object' || !('result' in value)) return;
    this.outcomes.push({ id: value.id, result: value.result, reason: value.reason });
  }
}
