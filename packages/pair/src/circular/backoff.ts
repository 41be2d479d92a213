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
  readonly #rests = new Map<string, number>();

  isWaiting(key: string, nowMs: number): boolean {
    return Math.max(this.#failures.get(key)?.untilMs ?? 0, this.#rests.get(key) ?? 0) > nowMs;
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

  /** What was done just now is not done again before `pauseMs` have passed, whatever is seen: its effect may take a while. */
  rest(key: string, nowMs: number, pauseMs: number): void {
    this.#rests.set(key, nowMs + pauseMs);
  }

  /** What failed last, the newest first. */
  problems(): readonly string[] {
    return [...this.#failures.values()].toSorted((a, b) => b.atMs - a.atMs).map(({ text }) => text);
  }
}
