import type { Op } from '../workload/op.ts';

/** Two acknowledgements that cannot both come from the one server that may acknowledge. */
export interface DualAck {
  readonly kind: 'overlap' | 'two-nodes';
  readonly earlier: Op;
  readonly later: Op;
}

/**
 * Finds acknowledgements by two servers that overlap in time (`docs/drill.md`).
 *
 * `overlap`: an insert on an older history line was *begun* after one on a newer line had been *acknowledged*: the older leader still
 * acknowledged when the newer one did already. `two-nodes`: one history line was acknowledged by two nodes.
 *
 * @param history acknowledged inserts are judged, all others ignored
 */
export function checkDualAck(history: readonly Op[]): readonly DualAck[] {
  const acked = history.filter((op) => op.outcome === 'ok' && op.timeline !== null);
  return [...overlaps(acked), ...sharedLines(acked)];
}

function overlaps(acked: readonly Op[]): DualAck[] {
  // The first acknowledgement of every line: whatever begins after it on an older line is wrong.
  const first = new Map<number, Op>();
  for (const op of acked) {
    const line = op.timeline ?? 0;
    const known = first.get(line);
    if (known === undefined || op.completeMs < known.completeMs) first.set(line, op);
  }
  return acked.flatMap((op): DualAck[] => {
    for (const [line, earlier] of first) {
      if (line > (op.timeline ?? 0) && op.invokeMs > earlier.completeMs)
        return [{ kind: 'overlap', earlier, later: op }];
    }
    return [];
  });
}

function sharedLines(acked: readonly Op[]): DualAck[] {
  const owner = new Map<number, Op>();
  const found: DualAck[] = [];
  for (const op of acked) {
    const line = op.timeline ?? 0;
    const known = owner.get(line);
    if (known === undefined) owner.set(line, op);
    else if (known.node !== op.node) found.push({ kind: 'two-nodes', earlier: known, later: op });
  }
  return found;
}
