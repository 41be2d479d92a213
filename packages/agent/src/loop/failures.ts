/** Commands that failed lately. */

import type { CommandFailure } from '@understudy/core';

/** A failure older than this is no reason to choose another way any more. */
const KEEP_MS = 10_000;
const MAX_KEPT = 32;

interface Kept {
  readonly command: string;
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
}

export class Failures {
  #kept: Kept[] = [];

  add(command: string, code: string, message: string, nowMs: number): void {
    this.#kept = [...this.#kept, { command, code, message, atMs: nowMs }].slice(-MAX_KEPT);
  }

  /** Newest last. */
  recent(nowMs: number): readonly CommandFailure[] {
    this.#kept = this.#kept.filter(({ atMs }) => nowMs - atMs <= KEEP_MS);
    return this.#kept.map(({ atMs, ...failure }) => ({ ...failure, agoMs: nowMs - atMs }));
  }
}
