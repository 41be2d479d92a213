/** Monotonic time, deadlines and pauses. Wall clocks decide nothing here (postgresql-ha.md C1.3). */

import { StoreError } from './errors.ts';

/** Longest deadline accepted, in ms: longer waits are mistakes, and timers overflow far beyond it. */
export const MAX_DEADLINE_MS = 600_000;

/** Milliseconds of the monotonic clock of this process. */
export function monotonicMs(): number {
  return performance.now();
}

/** A point in monotonic time by which a call has to end. */
export class Deadline {
  readonly totalMs: number;
  readonly #endMs: number;

  /** Takes a duration in ms from now. Throws StoreError `invalid-argument` when it is not a positive number. */
  constructor(totalMs: number) {
    if (!Number.isFinite(totalMs) || totalMs <= 0 || totalMs > MAX_DEADLINE_MS) {
      throw new StoreError({
        code: 'invalid-argument',
        retry: 'unsafe',
        message: `deadlineMs is ${totalMs}; it has to be above 0 and at most ${MAX_DEADLINE_MS}.`,
      });
    }
    this.totalMs = totalMs;
    this.#endMs = monotonicMs() + totalMs;
  }

  remainingMs(): number {
    return Math.max(0, this.#endMs - monotonicMs());
  }

  get passed(): boolean {
    return monotonicMs() >= this.#endMs;
  }
}

/** Waits `ms`, or until `signal` aborts. Always resolves; look at the signal afterwards. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener('abort', finish, { once: true });
  });
}

/** Exponential backoff with full jitter in the upper half: 50 to 100 % of the step. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  #stepMs: number;

  constructor(firstMs: number, maxMs: number) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#stepMs = firstMs;
  }

  /** Duration of the next pause in ms. */
  nextMs(): number {
    const stepMs = this.#stepMs;
    this.#stepMs = Math.min(this.#maxMs, stepMs * 2);
    return stepMs * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#stepMs = this.#firstMs;
  }
}
