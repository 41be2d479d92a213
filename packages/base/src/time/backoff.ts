/** Pauses between attempts: each step twice the one before, up to a limit; each pause 50 to 100 % of its step, by chance. */
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

  /** After an attempt that succeeded. */
  reset(): void {
    this.#stepMs = this.#firstMs;
  }
}
