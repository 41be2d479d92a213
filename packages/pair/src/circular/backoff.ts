const firstMs = 200;
const longestMs = 5000;
const rememberedMs = 60_000;

interface Failure {
  readonly count: number;
  readonly atMs: number;
  readonly untilMs: number;
  readonly text: string;
}

/** Keeps what fails from being tried again at once: twice the pause after each failure, spread by chance, up to a bound. */
export class Backoff {
  readonly #failures = new Map<string, Failure>();

  isWaiting(key: string, nowMs: number): boolean {
    return (this.#failures.get(key)?.untilMs ?? 0) > nowMs;
  }

  failed(key: string, text: string, nowMs: number): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    const pauseMs = Math.min(longestMs, firstMs * 2 ** Math.min(count - 1, 10)) * (0.75 + Math.random() / 2);
    this.#failures.set(key, { count, atMs: nowMs, untilMs: nowMs + pauseMs, text });
    for (const [each, { atMs }] of this.#failures) if (nowMs - atMs > rememberedMs) this.#failures.delete(each);
  }

  worked(key: string): void {
    this.#failures.delete(key);
  }

  /** What failed last, the newest first. */
  problems(): readonly string[] {
    return [...this.#failures.values()].toSorted((a, b) => b.atMs - a.atMs).map(({ text }) => text);
  }
}
