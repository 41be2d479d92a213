import type { Ms } from '../values/brand.ts';
import type { Decision } from '../values/decision.ts';
import type { Observation } from '../values/observation.ts';
import type { LeadershipRecord } from '../values/record.ts';

/** What a member's server may be asked for: writes, reads, or nothing. */
export type Serves = 'primary' | 'replica' | 'nothing';

/**
 * What clients may be sent here for at the instant `now`, as `GET /primary` and `GET /replica` answer it. Writes only where the record
 * names this very process as the open leader, and only until the decided deadline.
 *
 * @param observation what the last decision was made on
 * @param newest the newest record that this agent has read since; one of another epoch supersedes the decision
 */
export function servesAt(
  observation: Observation,
  { authority }: Decision,
  newest: LeadershipRecord | null,
  now: Ms,
): Serves {
  const { engine, self, incarnation, store } = observation;
  if (engine.kind === 'replica') return 'replica';
  if (engine.kind !== 'primary' || store.kind === 'never') return 'nothing';
  const record = store.content.record?.value;
  const isLeader = record?.leader === self && record.incarnation === incarnation && record.phase === 'open';
  const isSuperseded = newest?.epoch !== record?.epoch;
  return isLeader && !isSuperseded && authority.kind === 'primary' && authority.until > now ? 'primary' : 'nothing';
}
