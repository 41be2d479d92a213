/** Deadlines of a worker, to a tenth of a second: one timer for all of them. */

const TICK_MS = 100;

export class Deadlines {
  readonly #due = new Map<object, { atMs: number; act: () => void }>();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** `act` is called once after `afterMs`, unless {@link clear} comes before. One deadline for each owner. */
  set(owner: object, afterMs: number, act: () => void): void {
    this.#due.set(owner, { atMs: performance.now() + afterMs, act });
  }

  clear(owner: object): void {
    this.#due.delete(owner);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#due.clear();
  }

  #tick(): void {
    const now = performance.now();
    for (const [owner, { atMs, act }] of this.#due) {
      if (atMs > now) continue;
      this.#due.delete(owner);
      act();
    }
  }
}
