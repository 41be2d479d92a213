import type { Silence } from '../faults/fault.ts';
import type { Op } from '../workload/op.ts';

/**
 * Inserts that were begun and acknowledged while no acknowledger was there: a server that fell back to asynchronous replication, or
 * that counted somebody who does not count. Those that were begun before may have been acknowledged by somebody who was still there.
 */
export function acknowledgedInSilence(ops: readonly Op[], silence: Silence | null): readonly Op[] {
  if (silence === null) return [];
  return ops.filter(
    ({ outcome, invokeMs, completeMs }) => outcome === 'ok' && invokeMs >= silence.fromMs && completeMs < silence.toMs,
  );
}
