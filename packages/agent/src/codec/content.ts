/** From a snapshot of the store to what a decision looks at, and from a decided commit to a transaction. */

import {
  type ClusterConfig,
  type ClusterIdentity,
  type Commit,
  type HistoryEntry,
  type Incarnation,
  type LeadershipRecord,
  type Member,
  type MemberId,
  memberId,
  type OperatorRequest,
  type RequestOutcome,
  revision,
  type Seal,
  type StoreContent,
  type StorePut,
  type Versioned,
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
  identity: Versioned<ClusterIdentity> | null;
  config: Versioned<ClusterConfig> | null;
  record: Versioned<LeadershipRecord> | null;
  request: Versioned<OperatorRequest> | null;
  paused: boolean;
  readonly members: Map<MemberId, Member>;
  readonly sessions: Map<MemberId, Versioned<Incarnation>>;
  readonly seals: Map<MemberId, Versioned<Seal>>;
  readonly history: HistoryEntry[];
  readonly outcomes: Map<string, RequestOutcome>;
  readonly warnings: string[];
}

/**
 * Decodes everything a snapshot holds.
 * @throws StoreValueError when a value that decisions rest on does not parse: then nothing of the snapshot may be acted on
 */
export function decodeSnapshot(snapshot: Snapshot): DecodedSnapshot {
  const draft: Draft = {
    identity: null,
    config: null,
    record: null,
    request: null,
    paused: false,
    members: new Map(),
    sessions: new Map(),
    seals: new Map(),
    history: [],
    outcomes: new Map(),
    warnings: [],
  };
  for (const entry of snapshot.entries.values()) decodeEntry(entry, draft);
  const { identity, config, record, members, sessions, seals, request, paused } = draft;
  return {
    content: { identity, config, record, members, sessions, seals, request, paused, storeId: snapshot.storeId },
    history: draft.history.sort((a, b) => a.epoch - b.epoch),
    outcomes: draft.outcomes,
    warnings: draft.warnings,
  };
}

function versioned<T>(entry: KeyValue, decode: (key: string, text: string) => T): Versioned<T> {
  return { value: decode(entry.key, entry.value), revision: revision(entry.modRevision) };
}

function decodeEntry(entry: KeyValue, draft: Draft): void {
  const slash = entry.key.indexOf('/');
  const name = slash === -1 ? entry.key : entry.key.slice(0, slash);
  const rest = slash === -1 ? '' : entry.key.slice(slash + 1);
  switch (name) {
    case 'identity':
      draft.identity = versioned(entry, decodeIdentity);
      break;
    case 'config':
      draft.config = versioned(entry, decodeConfig);
      break;
    case 'record':
      draft.record = versioned(entry, decodeRecord);
      break;
    case 'request':
      draft.request = versioned(entry, decodeRequest);
      break;
    case 'paused':
      decodePaused(entry.key, entry.value);
      draft.paused = true;
      break;
    case 'members':
      draft.members.set(memberId(rest), namedAs(entry, rest, decodeMember(entry.key, entry.value)));
      break;
    case 'sessions':
      draft.sessions.set(memberId(rest), versioned(entry, decodeSession));
      break;
    case 'seals':
      draft.seals.set(memberId(rest), versioned(entry, decodeSeal));
      break;
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

function namedAs(entry: KeyValue, name: string, member: Member): Member {
  if (member.id !== name) throw new StoreValueError(entry.key, `it describes the member "${member.id}"`);
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
