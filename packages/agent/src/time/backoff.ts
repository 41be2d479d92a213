/** Pauses between attempts: doubling, with jitter, up to a limit. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  #stepMs: number;

  constructor(firstMs: number, maxMs: number) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#stepMs = firstMs;
  }

  /** Duration of the next pause: half of the step to all of it. */
  nextMs(): number {
    const stepMs = this.#stepMs;
    this.#stepMs = Math.min(this.#maxMs, stepMs * 2);
    return stepMs * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#stepMs = this.#firstMs;
  }
}
