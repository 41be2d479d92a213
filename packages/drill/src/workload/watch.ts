import { monotonicMs, pause } from '@understudy/base';
import type { Database } from '../database/database.ts';
import type { Session, Target } from '../database/session.ts';

/** What one question to one node found. */
export interface Sample {
  readonly node: string;
  readonly sentMs: number;
  readonly receivedMs: number;
  readonly state: 'writable' | 'read-only' | 'unreachable';
  readonly timeline: number | null;
}

const connectTimeoutMs = 400;
const answerTimeoutMs = 10_000;

/**
 * Asks one node over and over whether it takes writes, over a connection of its own. Used twice for each node: over the network, to
 * tell the writers where to go, as a router or a DNS name would; and over the node's Unix socket, to know the truth also while the
 * network is cut.
 */
export class Watch {
  readonly node: string;
  readonly #database: Database;
  readonly #target: Target;
  readonly #everyMs: number;
  readonly #onSample: (sample: Sample) => void;
  #session: Session | null = null;
  #isStopped = false;
  #loop: Promise<void> | null = null;

  constructor(database: Database, target: Target, everyMs: number, onSample: (sample: Sample) => void) {
    this.node = target.node;
    this.#database = database;
    this.#target = target;
    this.#everyMs = everyMs;
    this.#onSample = onSample;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#session?.destroy();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const sample = await this.#ask();
      if (this.#isStopped) return;
      this.#onSample(sample);
      await pause(Math.max(1, this.#everyMs - (monotonicMs() - sample.sentMs)));
    }
  }

  async #ask(): Promise<Sample> {
    const sentMs = monotonicMs();
    const found = (state: Sample['state'], timeline: number | null = null): Sample => ({
      node: this.node,
      sentMs,
      receivedMs: monotonicMs(),
      state,
      timeline,
    });
    if (this.#session?.isOpen !== true) this.#session = await this.#database.open(this.#target, connectTimeoutMs);
    if (this.#session === null) return found('unreachable');
    const look = await this.#database.look(this.#session, answerTimeoutMs);
    if (look !== null) return found(look.state, look.timeline);
    this.#session.destroy();
    return found('unreachable');
  }
}

/** How long a sample over the network is believed: a silent node has not said for this long that it takes writes. */
const believedMs = 200;

/** Knows where writes go at the moment, from samples over the network. */
export class Locator {
  readonly #newest = new Map<string, Sample>();
  #waiting: (() => void)[] = [];

  note(sample: Sample): void {
    this.#newest.set(sample.node, sample);
    if (sample.state !== 'writable') return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** The node that said last that it takes writes, on the newest history line; null when none has lately. */
  primary(): string | null {
    const fresh = [...this.#newest.values()].filter(
      (sample) => sample.state === 'writable' && monotonicMs() - sample.receivedMs < believedMs,
    );
    return fresh.toSorted((a, b) => (b.timeline ?? 0) - (a.timeline ?? 0))[0]?.node ?? null;
  }

  /** Waits until some node says that it takes writes, at most `timeoutMs`. */
  async waitForPrimary(timeoutMs: number): Promise<string | null> {
    const known = this.primary();
    if (known !== null) return known;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    return this.primary();
  }
}
