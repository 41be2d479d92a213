/** How soon the next turn comes when nothing triggers one; the pulse of the agent triggers one every tick anyway. */

/** How a turn ended. */
export type TurnEnd =
  | { readonly kind: 'nothing-to-do' }
  | { readonly kind: 'done' }
  /** The view changed between two commands: decide anew. */
  | { readonly kind: 'overtaken' }
  | { readonly kind: 'failed' };

const BUSY_TURN_MS = 20;
const LONG_BUSY_TURN_MS = 100;
const LONG_BUSY_AFTER_MS = 10_000;
const MAX_TURNS_AT_ONCE = 20;
const LAST_FAILURE_PAUSE_MS = 1_000;
/** While an election waits, as for a store that is electing a leader of its own. */
const LAST_BUSY_FAILURE_PAUSE_MS = 200;

export class Tempo {
  #busySinceMs: number | null = null;
  #atOnce = 0;
  #failures = 0;

  /** In how many ms the next turn is due; 0 means at once, infinity: with the next pulse. */
  next(end: TurnEnd, isUrgent: boolean, nowMs: number): number {
    this.#busySinceMs = isUrgent ? (this.#busySinceMs ?? nowMs) : null;
    this.#failures = end.kind === 'failed' ? this.#failures + 1 : 0;
    if (end.kind === 'failed') {
      const longestMs = isUrgent ? LAST_BUSY_FAILURE_PAUSE_MS : LAST_FAILURE_PAUSE_MS;
      return Math.min(longestMs, 20 * 2 ** Math.min(10, this.#failures));
    }
    if (end.kind !== 'nothing-to-do') {
      // Decisions that follow on one another are taken at once; a row without end would only heat the machine.
      this.#atOnce++;
      return this.#atOnce <= MAX_TURNS_AT_ONCE ? 0 : LONG_BUSY_TURN_MS;
    }
    this.#atOnce = 0;
    if (this.#busySinceMs === null) return Number.POSITIVE_INFINITY;
    return nowMs - this.#busySinceMs > LONG_BUSY_AFTER_MS ? LONG_BUSY_TURN_MS : BUSY_TURN_MS;
  }
}
