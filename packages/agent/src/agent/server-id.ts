/** The `server_id` of a MySQL or MariaDB server, which must be different on every member: claimed in the store, by number. */

import type { MemberId } from '@understudy/core';
import type { Compare, Snapshot, Write } from '@understudy/store';
import { encodeStoreValue } from '../codec/store-values.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { AgentError } from '../errors.ts';

/** The number that a node's configuration gives its server; null for an engine that has none. */
export function serverIdOf({ engine }: NodeConfig): number | null {
  return engine.kind === 'postgres' ? null : engine.serverId;
}

export type ServerIdClaim =
  | { readonly kind: 'held' }
  /** These, in one transaction with the registration, make it ours. */
  | { readonly kind: 'free'; readonly compare: Compare; readonly write: Write }
  | { readonly kind: 'taken'; readonly by: string };

/**
 * What the store says about a `server_id`. One entry a number, so that two members cannot have the same; the entry of a member that is
 * no longer registered may be taken over. Numbers that differ by 2^31 have one entry: each is the other's second one (`serverIdOf` of the
 * MariaDB engine).
 */
export function claimOf(snapshot: Snapshot, self: MemberId, serverId: number): ServerIdClaim {
  const key = `server-ids/${serverId & 0x7fff_ffff}`;
  const write: Write = { kind: 'put', key, value: encodeStoreValue(self) };
  const present = snapshot.entries.get(key);
  if (present === undefined) return { kind: 'free', compare: { kind: 'absent', key }, write };
  if (present.value === write.value) return { kind: 'held' };
  const by = ownerOf(present.value);
  if (snapshot.entries.has(`members/${by}`)) return { kind: 'taken', by };
  return { kind: 'free', compare: { kind: 'unchanged', key, modRevision: present.modRevision }, write };
}

function ownerOf(value: string): string {
  try {
    return String(JSON.parse(value));
  } catch {
    return '';
  }
}

/** @throws AgentError `SERVER_ID_TAKEN` when another member has that number */
export function refuseTakenServerId(snapshot: Snapshot | null, self: MemberId, serverId: number | null): void {
  if (snapshot === null || serverId === null) return;
  const claim = claimOf(snapshot, self, serverId);
  if (claim.kind === 'taken') throw serverIdTaken(serverId, claim.by);
}

export function serverIdTaken(serverId: number, by: string): AgentError {
  return new AgentError(
    'SERVER_ID_TAKEN',
    `engine.serverId ${serverId} is that of member "${by}", or 2147483648 away from it; servers with the same server_id ignore each other's transactions.`,
    { next: 'Give this member a number of its own.' },
  );
}
