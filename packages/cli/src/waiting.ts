import { setTimeout as delay } from 'node:timers/promises';

/** Waits, or ends early when `signal` is aborted. Never rejects. */
export async function pauseFor(durationMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  // The only rejection is that of the signal, which is an end of the wait like any other.
  await delay(durationMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

/** Monotonic time, in ms. */
export const nowMs = (): number => performance.now();
