/**
 * Whose acknowledgements are meant while a rule changes. The recorded rule and the next one may differ, and two questions have
 * opposite safe answers: a member must never acknowledge too little, and must never be called a synchronous standby too early.
 */

import type { AckRule } from '../values/ack-rule.ts';
import type { MemberId } from '../values/brand.ts';
import type { EngineState } from '../values/engine-state.ts';
import type { StoreContent } from '../values/observation.ts';
import type { LeadershipRecord } from '../values/record.ts';

/**
 * Whether `record` or its leader's server counts on `member`: by the next rule, else by the recorded one; and whenever the server that it follows
 * counts on it. A member that cannot read the store learns of a change that way, or commits would wait for it. To acknowledge more
 * than is asked for is always safe: what ends it is this member's own seal.
 *
 * @param leader what the recorded leader's agent said last of its server; null when that is not known.
 */
export function isCountedOn(record: LeadershipRecord | null, member: MemberId, leader: EngineState | null): boolean {
  const isCounted = leader?.kind === 'primary' && isIn(leader.acks.running, member);
  return isCounted || isIn(record?.nextRule ?? record?.rule ?? null, member);
}

/**
 * Whether `member` is to acknowledge what it receives. One that is sealed for the present epoch acknowledges to nobody, also while it
 * fetches from another sealed member what it lacks.
 *
 * @param leader what the recorded leader's agent said last of its server; null when that is not known.
 */
export function acknowledgesNow(
  content: Pick<StoreContent, 'record' | 'seals'> | null,
  member: MemberId,
  leader: EngineState | null,
): boolean {
  const record = content?.record?.value ?? null;
  if (record !== null && content?.seals.get(member)?.value.epoch === record.epoch) return false;
  return isCountedOn(record, member, leader);
}

/** Whether commits wait for this member's kind: it is in every rule that the server may count by. */
export function isSyncStandby(record: LeadershipRecord | null, member: MemberId): boolean {
  if (record === null || record.durability !== 'sync' || record.rule.required === 0) return false;
  return isIn(record.rule, member) && (record.nextRule === null || isIn(record.nextRule, member));
}

const isIn = (rule: AckRule | null, member: MemberId): boolean => rule?.members.includes(member) === true;
