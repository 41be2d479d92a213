/** Standing entries in the store: this member's own, and limits on what accumulates there. */

import type { Member, StoreContent } from '@understudy/core';
import type { Write } from '@understudy/store';
import { storeRevision } from '../codec/content.ts';
import { encodeStoreValue } from '../codec/store-values.ts';
import type { StoreLink } from '../store/link.ts';

const MAX_HISTORY = 200;
const MAX_OUTCOMES = 20;
/** How many old entries go in one transaction. */
const PRUNE_AT_ONCE = 50;

/**
 * Writes `members/<id>` when it is missing or says something else (other tags, another address).
 * @returns whether the store has it now
 */
export async function register(link: StoreLink, member: Member, deadlineMs: number): Promise<'registered' | 'not-yet'> {
  const key = `members/${member.id}`;
  const present = link.snapshot?.entries.get(key);
  const value = encodeStoreValue(member);
  if (present?.value === value) return 'registered';
  const compare =
    present === undefined
      ? ({ kind: 'absent', key } as const)
      : ({ kind: 'unchanged', key, modRevision: storeRevision(present.modRevision) } as const);
  const result = await link.transact([compare], [{ kind: 'put', key, value }], deadlineMs);
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
