import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds of the process's monotonic clock. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/**
 * Asks `check` again and again until it returns something other than null.
 *
 * @param timing.everyMs pause between two questions.
 * @returns what `check` returned; null when the deadline passed first.
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

/** Rejects with `makeError()` when `work` has not settled after `timeoutMs`; how `work` ends afterwards is ignored. */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number, makeError: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    // One turn later: after a pause of this whole process the answer lies in the socket already, and is read first.
    timer = setTimeout(() => setImmediate(() => reject(makeError())), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
