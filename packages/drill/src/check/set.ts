import type { Op } from '../workload/op.ts';

/** One insert that was tried; all that has to be kept of it for a comparison much later. */
export type Tried = Pick<Op, 'id' | 'outcome'>;

/** What became of every insert that was tried, on one node (`docs/drill.md`). */
export interface SetVerdict {
  /** Acknowledged, but not there. */
  readonly lost: readonly number[];
  /** Reported as not done, but there. */
  readonly resurrected: readonly number[];
  /** There, but nobody ever tried to insert it. */
  readonly unexpected: readonly number[];
  /** Of unknown outcome, and there: allowed. */
  readonly recovered: number;
}

/**
 * Compares a history with the ids that a node holds in the end.
 *
 * @param ops every insert that was tried, with unique ids
 * @param present ids that the node holds
 */
export function checkSet(ops: Iterable<Tried>, present: ReadonlySet<number>): SetVerdict {
  const lost: number[] = [];
  const resurrected: number[] = [];
  const attempted = new Set<number>();
  let recovered = 0;
  for (const { id, outcome } of ops) {
    attempted.add(id);
    const isThere = present.has(id);
    if (outcome === 'ok' && !isThere) lost.push(id);
    if (outcome === 'fail' && isThere) resurrected.push(id);
    if (outcome === 'info' && isThere) recovered += 1;
  }
  const unexpected = [...present].filter((id) => !attempted.has(id));
  return { lost, resurrected, unexpected, recovered };
}
