import { monotonicMs, pollUntil } from '@understudy/base';
import type { Workload } from '../workload/workload.ts';

/** How long writes have to flow again before they count as flowing. */
const steadyMs = 1000;

/** Waits until every fifth of a steady second since an instant has had acknowledgements. */
export async function writesFlow(
  workload: Workload,
  sinceMs: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<'flowing' | 'blocked'> {
  const flows = await pollUntil(
    () => {
      const fromMs = monotonicMs() - steadyMs;
      if (fromMs < sinceMs) return null;
      const slices = [0.2, 0.4, 0.6, 0.8, 1].map((part) => workload.acknowledgedSince(monotonicMs() - part * steadyMs));
      return slices.every((count, index) => count > (slices[index - 1] ?? 0)) ? true : null;
    },
    { everyMs: 50, timeoutMs, signal },
  );
  return flows === null ? 'blocked' : 'flowing';
}
