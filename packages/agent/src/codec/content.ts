/** From a snapshot of the store to what a decision looks at, and from a decided commit to a transaction. */

import {
  applyPut,
  type Commit,
  EMPTY_CONTENT,
  type HistoryEntry,
  type Member,
  type MemberId,
  memberId,
  type RequestOutcome,
  revision,
  type StoreContent,
  type StorePut,
  type StoreWrite,
} from '@understudy/core';
import type { Compare, KeyValue, Revision, Snapshot, Write } from '@understudy/store';
import {
  decodeConfig,
  decodeHistory,
  decodeIdentity,
  decodeMember,
  decodeOutcome,
  decodePaused,
  decodeRecord,
  decodeRequest,
  decodeSeal,
  decodeSession,
  encodeStoreValue,
  StoreValueError,
} from './store-values.ts';

/** A snapshot, decoded. */
export interface DecodedSnapshot {
  readonly content: StoreContent;
  readonly history: readonly HistoryEntry[];
  readonly outcomes: ReadonlyMap<string, RequestOutcome>;
  /** Values of no weight for decisions that could not be read (history, outcomes): named, left out. */
  readonly warnings: readonly string[];
}

interface Draft {
  content: StoreContent;
  readonly history: HistoryEntry[];
  readonly outcomes: Map<string, RequestOutcome>;
  readonly warnings: string[];
}

/**
 * Decodes everything a snapshot holds.
 * @throws StoreValueError when a value that decisions rest on does not parse: then nothing of the snapshot may be acted on
 */
export function decodeSnapshot(snapshot: Snapshot): DecodedSnapshot {
  const { storeId } = snapshot;
  const draft: Draft = { content: { ...EMPTY_CONTENT, storeId }, history: [], outcomes: new Map(), warnings: [] };
  for (const entry of snapshot.entries.values()) decodeEntry(entry, draft);
  return { ...draft, history: draft.history.sort((a, b) => a.epoch - b.epoch) };
}

function decodeEntry(entry: KeyValue, draft: Draft): void {
  const write = writeOf(entry);
  if (write !== null) {
    draft.content = applyPut(draft.content, write, revision(entry.modRevision));
    return;
  }
  const [folder, rest] = split(entry.key);
  switch (folder) {
    case 'history':
      lenient(draft, () => draft.history.push(decodeHistory(entry.key, entry.value)));
      break;
    case 'outcomes':
      lenient(draft, () => draft.outcomes.set(rest, decodeOutcome(entry.key, entry.value)));
      break;
    case 'server-ids':
      // Only registration looks at them.
      break;
    default:
      // A key of a newer version: nothing here rests on it.
      draft.warnings.push(`The store holds a key "${entry.key}" that this version does not know.`);
  }
}

/** What stands under a key that decisions look at; null for any other key. */
function writeOf({ key, value }: KeyValue): StoreWrite | null {
  const [folder, rest] = split(key);
  const member = memberId(rest);
  switch (folder) {
    case 'identity':
      return { key: folder, value: decodeIdentity(key, value) };
    case 'config':
      return { key: folder, value: decodeConfig(key, value) };
    case 'record':
      return { key: folder, value: decodeRecord(key, value) };
    case 'request':
      return { key: folder, value: decodeRequest(key, value) };
    case 'paused':
      decodePaused(key, value);
      return { key: folder, value: true };
    case 'members':
      return { key: `members/${member}`, value: namedAs(key, member, decodeMember(key, value)) };
    case 'sessions':
      return { key: `sessions/${member}`, value: decodeSession(key, value) };
    case 'seals':
      return { key: `seals/${member}`, value: decodeSeal(key, value) };
    default:
      return null;
  }
}

function split(key: string): readonly [folder: string, rest: string] {
  const slash = key.indexOf('/');
  return slash === -1 ? [key, ''] : [key.slice(0, slash), key.slice(slash + 1)];
}

function namedAs(key: string, name: MemberId, member: Member): Member {
  if (member.id !== name) throw new StoreValueError(key, `it describes the member "${member.id}"`);
  return member;
}

function lenient(draft: Draft, decode: () => void): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof StoreValueError)) throw error;
    draft.warnings.push(error.message);
  }
}

/** What a commit becomes in the store. */
export function encodeCommit(commit: Commit): {
  readonly compares: readonly Compare[];
  readonly writes: readonly Write[];
} {
  return {
    compares: commit.expect.map(
      ({ key, is }): Compare =>
        is === 'absent' ? { kind: 'absent', key } : { kind: 'unchanged', key, modRevision: is },
    ),
    writes: commit.put.map(encodePut),
  };
}

function encodePut(put: StorePut): Write {
  if (put.value === 'delete') return { kind: 'delete', key: put.key };
  return { kind: 'put', key: put.key, value: encodeStoreValue(put.value) };
}

/** The snapshot as it is after `writes` were committed at `at`, without asking the store again. */
export function applyWrites(snapshot: Snapshot, writes: readonly Write[], at: Revision): Snapshot {
  const entries = new Map(snapshot.entries);
  for (const write of writes) {
    if (write.kind === 'delete') {
      entries.delete(write.key);
      continue;
    }
    const createRevision = entries.get(write.key)?.createRevision ?? at;
    const { key, value, lease = null } = write;
    entries.set(key, { key, value, createRevision, modRevision: at, lease });
  }
  return { storeId: snapshot.storeId, revision: at, entries };
}
