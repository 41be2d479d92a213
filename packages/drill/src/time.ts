import { setTimeout as delay } from 'node:timers/promises';
import { DrillError } from './errors.ts';

/** Milliseconds of this process's monotonic clock: the one clock of a drill's history. */
export const nowMs = (): number => performance.now();

/** Turns wall-clock time of this machine (agents' logs) into time of {@link nowMs}, as the two clocks stand now. */
export const fromWallMs = (wallMs: number): number => wallMs - Date.now() + nowMs();

/** Waits; rejects with `INTERRUPTED` as soon as the signal is given. */
export async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(Math.max(0, durationMs), undefined, { signal });
  } catch {
    throw new DrillError('INTERRUPTED', 'Interrupted.');
  }
}

/** Asks until `check` returns something other than null, or the deadline has passed (then null). */
export async function pollUntil<T>(
  check: () => Promise<T | null> | T | null,
  timing: { readonly everyMs: number; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<T | null> {
  const endMs = nowMs() + timing.timeoutMs;
  for (;;) {
    if (timing.signal.aborted) throw new DrillError('INTERRUPTED', 'Interrupted.');
    const found = await check();
    if (found !== null) return found;
    if (nowMs() >= endMs) return null;
    await pause(timing.everyMs, timing.signal);
  }
}
