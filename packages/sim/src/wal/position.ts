import { lsn, type Position } from '@understudy/core';
import { type Branch, branchAt } from './branch.ts';
import { toGtidPosition } from './gtid.ts';

/** The position that a server whose log ends at (`branch`, `at`) reports. */
export function toPosition(branch: Branch, at: number): Position {
  const own = branchAt(branch, at);
  if (own.flavour !== 'postgres') return toGtidPosition(own, at);
  return { kind: 'wal', timeline: own.timeline, lsn: lsn(BigInt(at)), history: own.history };
}
