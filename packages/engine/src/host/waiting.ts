import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds of the process's monotonic clock. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * Asks `check` again and again until it returns something other than null.
 *
 * @param everyMs pause between two questions.
 * @returns what `check` returned, or null when the deadline passed first.
 */
export async function pollUntil<T>(
  check: () => Promise<T | null>,
  timing: { readonly everyMs: number; readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<T | null> {
  const endMs = monotonicMs() + timing.timeoutMs;
  for (;;) {
    timing.signal?.throwIfAborted();
    const found = await check();
    if (found !== null) return found;
    if (monotonicMs() + timing.everyMs >= endMs) return null;
    await delay(timing.everyMs);
  }
}

/** Rejects with `makeError()` when `work` has not settled after `timeoutMs`; what `work` does afterwards is ignored. */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number, makeError: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    // Not at once: when this process itself stood still, the answer may lie in the socket, and is read before the check phase.
    timer = setTimeout(() => setImmediate(() => reject(makeError())), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
