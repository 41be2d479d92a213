/** Standing entries in the store: this member's own, and limits on what accumulates there. */

import type { Member, StoreContent } from '@understudy/core';
import type { Compare, Write } from '@understudy/store';
import { encodeStoreValue } from '../codec/store-values.ts';
import type { StoreLink } from '../store/link.ts';
import { claimOf, serverIdTaken } from './server-id.ts';

const MAX_HISTORY = 200;
const MAX_OUTCOMES = 20;
/** How many old entries go in one transaction. */
const PRUNE_AT_ONCE = 50;

/**
 * Writes `members/<id>` when it is missing or says something else (other tags, another address), and claims the server's number.
 * @param serverId null for an engine whose servers have none
 * @returns whether the store has it now
 * @throws AgentError `SERVER_ID_TAKEN`: the member is not registered then
 */
export async function register(
  link: StoreLink,
  member: Member,
  serverId: number | null,
  deadlineMs: number,
): Promise<'registered' | 'not-yet'> {
  const { snapshot } = link;
  const claim =
    snapshot === null || serverId === null ? ({ kind: 'held' } as const) : claimOf(snapshot, member.id, serverId);
  if (claim.kind === 'taken' && serverId !== null) throw serverIdTaken(serverId, claim.by);
  const key = `members/${member.id}`;
  const present = snapshot?.entries.get(key);
  const value = encodeStoreValue(member);
  if (present?.value === value && claim.kind === 'held') return 'registered';
  const compare: Compare =
    present === undefined ? { kind: 'absent', key } : { kind: 'unchanged', key, modRevision: present.modRevision };
  const put: Write = { kind: 'put', key, value };
  const claimed =
    claim.kind === 'free' ? { compares: [claim.compare], writes: [claim.write] } : { compares: [], writes: [] };
  const result = await link.transact([compare, ...claimed.compares], [put, ...claimed.writes], deadlineMs);
  return result.kind === 'committed' ? 'registered' : 'not-yet';
}

/** What of history and outcomes is beyond the limits, oldest first. */
export function surplus(link: StoreLink): readonly Write[] {
  const decoded = link.decoded;
  if (decoded === null) return [];
  const history = decoded.history
    .slice(0, Math.max(0, decoded.history.length - MAX_HISTORY))
    .map(({ epoch }): Write => ({ kind: 'delete', key: `history/${epoch}` }));
  const outcomes = [...decoded.outcomes.values()]
    .sort((a, b) => a.wallMs - b.wallMs)
    .slice(0, Math.max(0, decoded.outcomes.size - MAX_OUTCOMES))
    .map(({ id }): Write => ({ kind: 'delete', key: `outcomes/${id}` }));
  return [...history, ...outcomes].slice(0, PRUNE_AT_ONCE);
}

/** The leader tidies up, so that only one does. */
export async function prune(link: StoreLink, content: StoreContent, self: string, deadlineMs: number): Promise<void> {
  if (content.record?.value.leader !== self) return;
  const writes = surplus(link);
  if (writes.length > 0) await link.transact([], writes, deadlineMs);
}
