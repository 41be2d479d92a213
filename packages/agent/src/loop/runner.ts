/** Runs turns one after the other: at once when triggered, never two at a time, never more often than there is reason to. */

export interface RunnerOptions {
  /** One turn; returns in how many ms to come again without a trigger (infinity: not at all). Must not throw. */
  readonly turn: () => Promise<number>;
}

export class Runner {
  readonly #turn: () => Promise<number>;
  #state: 'idle' | 'scheduled' | 'running' | 'stopped' = 'stopped';
  #again = false;
  #timer: NodeJS.Timeout | null = null;
  #idle: (() => void)[] = [];

  constructor(options: RunnerOptions) {
    this.#turn = options.turn;
  }

  start(): void {
    if (this.#state !== 'stopped') return;
    this.#state = 'idle';
    this.trigger();
  }

  /** Something may have changed. Any number of triggers before a turn make one turn; one during a turn makes another. */
  trigger(): void {
    if (this.#state === 'running') this.#again = true;
    if (this.#state !== 'idle') return;
    this.#state = 'scheduled';
    this.#clearTimer();
    // After the poll phase: what peers have sent meanwhile is read before the decision.
    setImmediate(() => this.#run());
  }

  /** No more turns; resolves when the running one has ended. */
  async stop(): Promise<void> {
    this.#clearTimer();
    if (this.#state === 'running') {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
    this.#state = 'stopped';
  }

  #run(): void {
    if (this.#state !== 'scheduled') return;
    this.#state = 'running';
    this.#again = false;
    this.#turn().then(
      (delayMs) => this.#ended(delayMs),
      () => this.#ended(1_000),
    );
  }

  #ended(delayMs: number): void {
    this.#state = 'idle';
    const waiting = this.#idle;
    this.#idle = [];
    if (waiting.length > 0) {
      this.#state = 'stopped';
      for (const resolve of waiting) resolve();
      return;
    }
    if (this.#again || delayMs <= 0) this.trigger();
    else if (Number.isFinite(delayMs)) this.#timer = setTimeout(() => this.trigger(), delayMs);
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
