import { lsn, type Position } from '../../src/index.ts';

/** Where each timeline of the tests' one history ended: timeline n+1 forked off timeline n at n × 1000. */
const forkOf = (timeline: number): bigint => BigInt(timeline) * 1000n;

/** A position on the tests' history: timelines 1, 2, … forked at 1000, 2000, … */
export function at(timeline: number, end: number): Position {
  const history = Array.from({ length: timeline - 1 }, (_, index) => ({
    timeline: index + 1,
    switchLsn: lsn(forkOf(index + 1)),
  }));
  return { kind: 'wal', timeline, lsn: lsn(BigInt(end)), history };
}

/** A position with a history of its own: `[timeline, switch]` pairs, oldest first. */
export function on(timeline: number, end: bigint | number, ...history: readonly [number, bigint | number][]): Position {
  return {
    kind: 'wal',
    timeline,
    lsn: lsn(BigInt(end)),
    history: history.map(([parent, switchAt]) => ({ timeline: parent, switchLsn: lsn(BigInt(switchAt)) })),
  };
}
