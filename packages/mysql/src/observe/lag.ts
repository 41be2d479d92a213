import { monotonicMs } from '@understudy/base';
import { contains, type Position } from '@understudy/core';

/** For how long a replica has not applied something that it has received. Also a busy one catches up with where it was a moment ago. */
export class LagWatch {
  #goal: { readonly position: Position; readonly sinceMs: number } | null = null;
  #lagMs = 0;

  /** As of the last look; 0 for what is not a replica. */
  get lagMs(): number {
    return this.#lagMs;
  }

  look(position: Position | null, applied: Position, nowMs: number = monotonicMs()): void {
    if (position === null) return;
    const goal = this.#goal;
    if (goal === null || contains(applied, goal.position) || isDropped(goal.position, position, applied)) {
      this.#goal = { position, sinceMs: nowMs };
      this.#lagMs = 0;
    } else {
      this.#lagMs = nowMs - goal.sinceMs;
    }
  }

  reset(): void {
    this.#goal = null;
    this.#lagMs = 0;
  }
}

/** What was received of a former leader and thrown away is never applied: who has applied all that there is does not lag. */
const isDropped = (goal: Position, received: Position, applied: Position): boolean =>
  contains(applied, received) || !contains(received, goal);
