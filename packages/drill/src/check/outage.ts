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

/**
 * The write outage that clients saw: for each client, from the *begin* of its last acknowledged insert before a gap to the *end* of
 * the first one after it; the longest of them that overlaps the fault (`style-and-testing.md` 5 d).
 *
 * Clients also wait when nothing is wrong: for the disk, for a busy processor. A gap below 100 ms, or less than twice as long as the longest
 * one in the calm time before the fault, is ordinary waiting and no outage.
 *
 * @param ops of clients on the network
 * @param endMs when the workload ended: a client without any acknowledgement after the fault counts until then
 */
export function outageOf(ops: readonly Op[], fault: FaultWindow, endMs: number): Outage {
  let calmMs = 0;
  let longest: { fromMs: number; toMs: number } | null = null;
  for (const own of byWriter(ops).values()) {
    for (const gap of gapsOf(own, endMs)) {
      if (gap.toMs <= fault.fromMs) calmMs = Math.max(calmMs, gap.toMs - gap.fromMs);
      else if (gap.fromMs <= fault.toMs && (longest === null || gap.toMs - gap.fromMs > longest.toMs - longest.fromMs))
        longest = gap;
    }
  }
  const longestMs = longest === null ? 0 : longest.toMs - longest.fromMs;
  const isOrdinary = longestMs < ordinaryMs || longestMs < 2 * calmMs;
  return isOrdinary
    ? { outageMs: 0, calmMs, longestMs, span: null }
    : { outageMs: longestMs, calmMs, longestMs, span: longest };
}

function byWriter(ops: readonly Op[]): ReadonlyMap<number, Op[]> {
  const writers = new Map<number, Op[]>();
  for (const op of ops) {
    if (op.kind !== 'network' || op.outcome !== 'ok') continue;
    const own = writers.get(op.writer);
    if (own === undefined) writers.set(op.writer, [op]);
    else own.push(op);
  }
  return writers;
}

function gapsOf(acked: readonly Op[], endMs: number): { fromMs: number; toMs: number }[] {
  const ordered = acked.toSorted((a, b) => a.completeMs - b.completeMs);
  return ordered.flatMap((op, index) => {
    const next = ordered[index + 1];
    const toMs = next?.completeMs ?? endMs;
    return toMs > op.invokeMs ? [{ fromMs: op.invokeMs, toMs }] : [];
  });
}
