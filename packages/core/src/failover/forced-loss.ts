import { contains, distanceBytes, type Position } from '../position/position.ts';
import type { MemberId } from '../values/brand.ts';

/**
 * What a failover without proof to one member would lose, by the positions that are known.
 * `nothing`: it holds everything that any member is known to hold. `lost`: `holder` holds what it lacks; `bytes` of log, for GTID sets an
 * estimate, null where two logs have parted and no distance says anything. `unknown`: its own position is not known.
 */
export type ForcedLoss =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'lost';
      readonly holder: MemberId;
      readonly position: Position;
      readonly bytes: number | null;
      /** `behind`: the holder's history is this one's, longer. `diverged`: each holds something that the other lacks. */
      readonly relation: 'behind' | 'diverged';
    };

/**
 * Histories are compared, never timeline numbers.
 *
 * @param ends where each member is known to have come; of one that is not heard, the last that it said
 */
export function forcedLoss(to: MemberId, ends: ReadonlyMap<MemberId, Position>): ForcedLoss {
  const own = ends.get(to);
  if (own === undefined) return { kind: 'unknown' };
  const lacking = [...ends].filter(([, end]) => !contains(own, end));
  const [first] = lacking;
  if (first === undefined) return { kind: 'nothing' };
  const [holder, position] = lacking.reduce((best, each) => (isMore(own, each[1], best[1]) ? each : best), first);
  const relation = contains(position, own) ? 'behind' : 'diverged';
  return { kind: 'lost', holder, position, bytes: lackingBytes(own, position), relation };
}

/** Whether `own` would lose more by `a` than by `b`. */
function isMore(own: Position, a: Position, b: Position): boolean {
  if (contains(b, a)) return false;
  return contains(a, b) || (lackingBytes(own, a) ?? 0) > (lackingBytes(own, b) ?? 0);
}

/** A set says what it has beside another one, wherever they parted; a log does not. */
function lackingBytes(own: Position, end: Position): number | null {
  return end.kind === 'gtid' || contains(end, own) ? distanceBytes(end, own) : null;
}
