import type { StartFailures } from '@understudy/core';

const wordsMax = 1000;

/** Starts of one server that failed, one after the other. */
export class StartCount {
  #failures: StartFailures | undefined;

  /** Undefined when the last start did not fail, or there was none. */
  get failures(): StartFailures | undefined {
    return this.#failures;
  }

  /** @param words the server's own. */
  failed(cause: StartFailures['cause'], words: string): void {
    // Of another cause: what is wrong now is another thing.
    const before = this.#failures?.cause === cause ? this.#failures.times : 0;
    this.#failures = { times: before + 1, cause, words: words.slice(-wordsMax) };
  }

  succeeded(): void {
    this.#failures = undefined;
  }
}
