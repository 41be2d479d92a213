/** When standing things are looked after that no decision asks for. */

import type { Revision, Versioned } from '@understudy/core';

const EVERY_MS = 1_000;

export class Upkeep {
  #doneAtMs = Number.NEGATIVE_INFINITY;
  #revision: Revision | null = null;
  #acknowledges: 'yes' | 'no' = 'no';

  /**
   * Whether it is time, and then it counts as done: about once a second, and at once after a change of the leadership record, or of
   * whether this member is to acknowledge. A leader that has opened, or counts by another rule, may take a replica now that it turned
   * away a moment ago.
   */
  isDue(record: Pick<Versioned<unknown>, 'revision'> | null, acknowledges: 'yes' | 'no', nowMs: number): boolean {
    const revision = record?.revision ?? null;
    const isSame = revision === this.#revision && acknowledges === this.#acknowledges;
    if (isSame && nowMs - this.#doneAtMs < EVERY_MS) return false;
    this.#acknowledges = acknowledges;
    this.#revision = revision;
    this.#doneAtMs = nowMs;
    return true;
  }

  /** The next look is due, whenever it comes. */
  hasten(): void {
    this.#doneAtMs = Number.NEGATIVE_INFINITY;
  }
}
