import { monotonicMs } from '@understudy/base';
import {
  type AckRule,
  contains,
  type GtidPosition,
  gtidUnion,
  type MemberId,
  type Position,
  sameRule,
} from '@understudy/core';
import type { Dialect } from '../dialect/dialect.ts';
import type { Session } from '../sql/session.ts';
import { type AckSample, membersOf, strangersOf } from './ack-tracker.ts';

const queryTimeoutMs = 500;
/** More than there can ever be: nothing is acknowledged meanwhile. (The server makes room for so many, which takes 11 ms for the largest number.) */
export const nobodySuffices = 1000;
/** A replica that is merely slow answers sooner. */
const stalledAfterMs = 1500;

/** Where the members of the rule say that they are. */
export type Positions = ReadonlyMap<MemberId, Position>;

/** Whether the server was shown to count by the rule. */
export type Proof = 'proven' | 'changing';

interface Stall {
  readonly acknowledged: number;
  readonly sinceMs: number;
  /** What waited when it was found out, and where everybody was. */
  readonly found: { readonly waiting: GtidPosition; readonly positions: Positions } | null;
}

/**
 * How many acknowledgements a running MySQL leader waits for: what the rule says, and more while something could end the wait falsely. The
 * server takes a change at once, for commits that wait too, and forgets no acknowledgement over it (tried on 9.7).
 *
 * - While too few members are connected, or none of them answers, a shutdown (SIGTERM, SHUTDOWN) answers all that waits with success: it
 *   does so when exactly one replica too few is connected. So the server is told to wait for many more than there are.
 * - Somebody else who acknowledges takes a place of his own.
 */
export class AckCount {
  #rule: AckRule | null = null;
  #stall: Stall | null = null;

  /** Called with every look at a leader. @param rule the one that it has (`proven`), or is being given (`changing`). */
  async keep(
    session: Session,
    { semiSync }: Pick<Dialect, 'semiSync'>,
    sample: AckSample,
    rule: AckRule | null,
    positions: Positions,
    proof: Proof,
  ): Promise<void> {
    if (semiSync.required === null || rule === null || rule.required === 0) return;
    const wanted = this.wanted(sample, rule, positions, proof);
    if (wanted === sample.required) return;
    await session.query(`SET GLOBAL ${semiSync.required} = ${wanted}`, [], queryTimeoutMs);
  }

  /** While a rule is being changed, never less than now: those whom only the old one names may come back and suffice alone. */
  wanted(sample: AckSample, rule: AckRule, positions: Positions, proof: Proof, nowMs: number = monotonicMs()): number {
    const wanted = this.#safe(sample, rule, positions, nowMs);
    return proof === 'proven' ? wanted : Math.max(wanted, sample.required);
  }

  #safe(sample: AckSample, rule: AckRule, positions: Positions, nowMs: number): number {
    if (this.#rule === null || !sameRule(this.#rule, rule)) this.#stall = null;
    this.#rule = rule;
    if (membersOf(sample, rule) < rule.required) return nobodySuffices;
    if (this.#isStalled(sample, rule, positions, nowMs)) return nobodySuffices;
    return rule.required + strangersOf(sample, rule);
  }

  #isStalled(sample: AckSample, rule: AckRule, positions: Positions, nowMs: number): boolean {
    const { waiting, acknowledged } = sample;
    const stall = this.#stall;
    if (waiting === 0) this.#stall = null;
    else if (stall?.acknowledged !== acknowledged) this.#stall = { acknowledged, sinceMs: nowMs, found: null };
    else if (stall.found === null && nowMs - stall.sinceMs >= stalledAfterMs) {
      const set = gtidUnion(sample.position.set, sample.inFlight);
      this.#stall = { ...stall, found: { waiting: { ...sample.position, set }, positions } };
    } else if (stall.found !== null && answering(stall.found, rule, positions) >= rule.required) {
      this.#stall = { acknowledged, sinceMs: nowMs, found: null };
    }
    return this.#stall !== null && this.#stall.found !== null;
  }
}

/** How many members of the rule hold what waits, or have received something since. */
function answering(found: NonNullable<Stall['found']>, rule: AckRule, positions: Positions): number {
  return rule.members.filter((member) => {
    const now = positions.get(member);
    if (now === undefined) return false;
    const then = found.positions.get(member);
    return contains(now, found.waiting) || then === undefined || !contains(then, now);
  }).length;
}
