import type { Op } from '../workload/op.ts';

/** When a fault was injected, and until when its effects are looked for. */
export interface FaultWindow {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Outage {
  /** The longest time that one client went without an acknowledgement; 0 when that was ordinary waiting. */
  readonly outageMs: number;
  /** The longest such time in the calm before the fault. */
  readonly calmMs: number;
  /** The longest such time during the fault, ordinary or not. */
  readonly longestMs: number;
  /** Its ends: the last acknowledged insert was begun then, the next acknowledged then. Null without an outage. */
  readonly span: { readonly fromMs: number; readonly toMs: number } | null;
}

const ordinaryMs = 100;

interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
  /** `broken`: an insert in it failed or was never answered, or the next one went to another node. `slow`: all were answered, late. */
  readonly kind: 'broken' | 'slow';
}

/**
 * The write outage that clients saw: for each client, from the *begin* of its last acknowledged insert before a gap to the *end* of
 * the first one after it; the longest of them that overlaps the fault (`docs/drill.md`).
 *
 * Clients also wait when nothing is wrong: for the disk, for a busy processor. A gap in which every insert was answered, and which is below
 * 100 ms or less than twice as long as the longest one in the calm time before the fault, is ordinary waiting and no outage.
 *
 * @param ops of clients on the network
 * @param endMs when the workload ended: a client without any acknowledgement after the fault counts until then
 */
export function outageOf(ops: readonly Op[], fault: FaultWindow, endMs: number): Outage {
  const gaps = [...byWriter(ops).values()].flatMap((own) => gapsOf(own, endMs));
  const lengthOf = ({ fromMs, toMs }: Gap): number => toMs - fromMs;
  const calmMs = gaps
    .filter(({ toMs }) => toMs <= fault.fromMs)
    .reduce((most, gap) => Math.max(most, lengthOf(gap)), 0);
  const during = gaps.filter(({ fromMs, toMs }) => toMs > fault.fromMs && fromMs <= fault.toMs);
  const limitMs = Math.max(ordinaryMs, 2 * calmMs);
  const counted = during.filter((gap) => gap.kind === 'broken' || lengthOf(gap) >= limitMs);
  const longest = counted.reduce<Gap | null>(
    (most, gap) => (most === null || lengthOf(gap) > lengthOf(most) ? gap : most),
    null,
  );
  const longestMs = during.reduce((most, gap) => Math.max(most, lengthOf(gap)), 0);
  if (longest === null) return { outageMs: 0, calmMs, longestMs, span: null };
  const { fromMs, toMs } = longest;
  return { outageMs: toMs - fromMs, calmMs, longestMs, span: { fromMs, toMs } };
}

function byWriter(ops: readonly Op[]): ReadonlyMap<number, Op[]> {
  const writers = new Map<number, Op[]>();
  for (const op of ops) {
    if (op.kind !== 'network') continue;
    const own = writers.get(op.writer);
    if (own === undefined) writers.set(op.writer, [op]);
    else own.push(op);
  }
  return writers;
}

/** Gaps between one acknowledged insert of a client and its next one. */
function gapsOf(own: readonly Op[], endMs: number): Gap[] {
  const gaps: Gap[] = [];
  let last: Op | null = null;
  let isBroken = false;
  for (const op of own.toSorted((a, b) => a.completeMs - b.completeMs)) {
    if (op.outcome !== 'ok') {
      isBroken = true;
      continue;
    }
    if (last !== null) {
      const kind = isBroken || op.node !== last.node ? 'broken' : 'slow';
      gaps.push({ fromMs: last.invokeMs, toMs: op.completeMs, kind });
    }
    last = op;
    isBroken = false;
  }
  if (last !== null)
    gaps.push({ fromMs: last.invokeMs, toMs: Math.max(endMs, last.completeMs), kind: isBroken ? 'broken' : 'slow' });
  return gaps;
}
