import { Deadline } from './deadline.ts';
import { throwIfInterrupted } from './interrupt.ts';
import { pause } from './pause.ts';

export interface PollTiming {
  /** Pause between two questions. */
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks `check` again and again until it answers something other than null: at once, and for the last time when the deadline passes.
 *
 * @returns what `check` answered; null when the deadline passed first
 * @throws InterruptedError when the signal is given; whatever `check` throws
 */
export async function pollUntil<T>(check: () => Promise<T | null> | T | null, timing: PollTiming): Promise<T | null> {
  const deadline = new Deadline(timing.timeoutMs);
  for (;;) {
    throwIfInterrupted(timing.signal);
    const found = await check();
    if (found !== null) return found;
    if (deadline.hasPassed) return null;
    await pause(Math.min(timing.everyMs, Math.max(1, deadline.remainingMs)), timing.signal);
  }
}
