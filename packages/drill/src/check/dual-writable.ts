import type { Sample } from '../workload/watch.ts';

/** A sample is taken to hold until the node's next one, but no longer than this: what is not asked is not known. */
const holdsMs = 60;

interface Span {
  readonly node: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * For how long two or more nodes said at once that they take writes, in ms. With a frozen or cut-off old leader this may be more
 * than 0 for a bounded time, while it can acknowledge nothing (`docs/protocol.md`, the promise).
 */
export function dualWritableMs(samples: readonly Sample[]): number {
  const edges = writableSpans(samples)
    .flatMap(({ fromMs, toMs }) => [
      { atMs: fromMs, step: 1 },
      { atMs: toMs, step: -1 },
    ])
    .toSorted((a, b) => a.atMs - b.atMs || a.step - b.step);
  let writable = 0;
  let totalMs = 0;
  let lastMs = 0;
  for (const { atMs, step } of edges) {
    if (writable >= 2) totalMs += atMs - lastMs;
    writable += step;
    lastMs = atMs;
  }
  return totalMs;
}

/** Spans do not overlap for one node: each ends where the node's next sample begins to speak. */
function writableSpans(samples: readonly Sample[]): Span[] {
  const byNode = new Map<string, Sample[]>();
  for (const sample of samples) {
    const own = byNode.get(sample.node);
    if (own === undefined) byNode.set(sample.node, [sample]);
    else own.push(sample);
  }
  return [...byNode].flatMap(([node, own]) => {
    const ordered = own.toSorted((a, b) => a.receivedMs - b.receivedMs);
    return ordered.flatMap((sample, index): Span[] => {
      if (sample.state !== 'writable') return [];
      const nextMs = ordered[index + 1]?.receivedMs ?? Number.POSITIVE_INFINITY;
      return [{ node, fromMs: sample.receivedMs, toMs: Math.min(nextMs, sample.receivedMs + holdsMs) }];
    });
  });
}
