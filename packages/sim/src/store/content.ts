import {
  type Commit,
  type HistoryEntry,
  type Incarnation,
  type LeadershipRecord,
  type Member,
  type MemberId,
  type Revision,
  revision,
  type Seal,
  type StoreContent,
  type StoreKey,
  type StorePut,
  type Versioned,
} from '@understudy/core';

/** What a store holds before anything was written to it. */
export const EMPTY_CONTENT: StoreContent = {
  identity: null,
  config: null,
  record: null,
  members: new Map(),
  sessions: new Map(),
  seals: new Map(),
  request: null,
  paused: false,
  storeId: 'store',
};

/** A state of the store, kept for the day when somebody puts it back. */
export interface SavedState {
  readonly content: StoreContent;
  readonly revision: number;
  readonly revisions: ReadonlyMap<StoreKey, Revision>;
  readonly history: ReadonlyMap<number, HistoryEntry>;
}

/** Something that writes to the store without being a decision of the protocol. */
export type AdminPut =
  | { readonly key: 'paused'; readonly value: boolean }
  | { readonly key: `sessions/${MemberId}`; readonly value: Incarnation | 'delete' };

/**
 * A linearizable register of the cluster's keys: every change makes a new immutable content at the next revision. `revisions` knows
 * the keys that no observation carries too (history, outcomes), because transactions may expect their absence.
 */
export class Registers {
  content: StoreContent = EMPTY_CONTENT;
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
    this.content = { ...(state?.content ?? EMPTY_CONTENT), sessions: new Map() };
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
  put(puts: readonly (StorePut | AdminPut)[]): Revision {
    this.revision += 1;
    const at = revision(this.revision);
    let content = this.content;
    for (const put of puts) {
      if (put.value === 'delete') this.#revisions.delete(put.key);
      else this.#revisions.set(put.key, at);
      if (put.key.startsWith('outcomes/')) this.#noteOutcome(put);
      if (put.key.startsWith('history/')) this.#noteHistory(put.value);
      content = contentWith(content, put, at);
    }
    this.content = content;
    return at;
  }

  #noteHistory(value: (StorePut | AdminPut)['value']): void {
    if (typeof value !== 'object' || !('wallMs' in value) || !('timeline' in value)) return;
    this.history = new Map([...this.history, [value.epoch, value]]);
  }

  #noteOutcome(put: StorePut | AdminPut): void {
    const value = put.value;
    if (typeof value !== 'object' || !('result' in value)) return;
    this.outcomes.push({ id: value.id, result: value.result, reason: value.reason });
  }
}

function contentWith(content: StoreContent, put: StorePut | AdminPut, at: Revision): StoreContent {
  const slash = put.key.indexOf('/');
  if (slash >= 0) return contentWithMember(content, put, at, put.key.slice(0, slash), put.key.slice(slash + 1));
  switch (put.key) {
    case 'identity':
      return { ...content, identity: { value: put.value, revision: at } };
    case 'config':
      return { ...content, config: { value: put.value, revision: at } };
    case 'record':
      return { ...content, record: { value: put.value as LeadershipRecord, revision: at } };
    case 'request':
      return { ...content, request: put.value === 'delete' ? null : { value: put.value, revision: at } };
    case 'paused':
      return { ...content, paused: put.value };
    default:
      return content;
  }
}

function contentWithMember(
  content: StoreContent,
  put: StorePut | AdminPut,
  at: Revision,
  folder: string,
  name: string,
): StoreContent {
  const member = name as MemberId;
  switch (folder) {
    case 'members':
      return { ...content, members: withEntry(content.members, member, put.value as Member | 'delete') };
    case 'sessions':
      return {
        ...content,
        sessions: withEntry(content.sessions, member, versioned(put.value as Incarnation | 'delete', at)),
      };
    case 'seals':
      return { ...content, seals: withEntry(content.seals, member, versioned(put.value as Seal | 'delete', at)) };
    default:
      return content;
  }
}

function versioned<T>(value: T | 'delete', at: Revision): Versioned<T> | 'delete' {
  return value === 'delete' ? 'delete' : { value: value as T, revision: at };
}

function withEntry<T>(map: ReadonlyMap<MemberId, T>, member: MemberId, value: T | 'delete'): ReadonlyMap<MemberId, T> {
  const copy = new Map(map);
  if (value === 'delete') copy.delete(member);
  else copy.set(member, value);
  return copy;
}
