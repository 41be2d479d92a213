import { setTimeout as delay } from 'node:timers/promises';
import { LocalError } from './errors.ts';

/** Milliseconds of this process's monotonic clock. */
export function nowMs(): number {
  return performance.now();
}

export interface PollTiming {
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks `check` again and again until it returns something other than null.
 *
 * @returns what `check` returned, or null when the deadline passed first.
 * @throws LocalError `INTERRUPTED` when the signal is given.
 */
export async function pollUntil<T>(check: () => Promise<T | null> | T | null, timing: PollTiming): Promise<T | null> {
  const endMs = nowMs() + timing.timeoutMs;
  for (;;) {
    throwIfInterrupted(timing.signal);
    const found = await check();
    if (found !== null) return found;
    if (nowMs() >= endMs) return null;
    await delay(Math.min(timing.everyMs, Math.max(1, endMs - nowMs())));
  }
}

export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new LocalError('INTERRUPTED', 'Interrupted.', 'safe');
}
