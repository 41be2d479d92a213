import type { Ms } from '@understudy/base';

/**
 * Counts only the time in which this process was running. Silences are measured on it, so that a process that was frozen, or starved
 * of CPU, does not take the time it missed for the silence of others.
 *
 * Every tick adds at most twice the tick's length, however long it took.
 */
export class RunningClock {
  #tickMs: number;
  #countedMs = 0;
  #lastTick: Ms;

  constructor(tickMs: number, now: Ms) {
    this.#tickMs = tickMs;
    this.#lastTick = now;
  }

  /**
   * To be called once a tick.
   * @returns how much later than expected it was called, in ms: what the process lost
   */
  tick(now: Ms): number {
    const elapsed = now - this.#lastTick;
    this.#countedMs += Math.min(elapsed, 2 * this.#tickMs);
    this.#lastTick = now;
    return Math.max(0, elapsed - this.#tickMs);
  }

  /** Running time up to `now`, in ms; grows by at most two ticks between ticks. */
  at(now: Ms): number {
    return this.#countedMs + Math.min(Math.max(0, now - this.#lastTick), 2 * this.#tickMs);
  }

  setTickMs(tickMs: number): void {
    this.#tickMs = tickMs;
  }

  get tickMs(): number {
    return this.#tickMs;
  }
}
