import type { Op } from '../src/workload/op.ts';
import type { Sample } from '../src/workload/watch.ts';

/** An acknowledged insert by node `a` on line 1, unless said otherwise. */
export function op(id: number, given: Partial<Op> = {}): Op {
  return {
    id,
    writer: 0,
    kind: 'network',
    node: 'a',
    timeline: 1,
    invokeMs: id * 10,
    completeMs: id * 10 + 5,
    outcome: 'ok',
    problem: null,
    ...given,
  };
}

/** What a probe saw. */
export function sample(node: string, atMs: number, state: Sample['state']): Sample {
  return { node, sentMs: atMs, receivedMs: atMs, state, timeline: null };
}
