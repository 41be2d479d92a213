import { setTimeout as delay } from 'node:timers/promises';
import { nowMs } from '../time.ts';
import { Session, type Target } from './session.ts';

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

const question = {
  name: 'watch',
  text: `select pg_is_in_recovery() as replica, current_setting('default_transaction_read_only') as read_only,
                case when pg_is_in_recovery() then null else substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end as timeline`,
};

/**
 * Asks one node over and over whether it takes writes, over a connection of its own. Used twice for each node: over the network, to
 * tell the writers where to go, as a router or a DNS name would; and over the node's Unix socket, to know the truth also while the
 * network is cut.
 */
export class Watch {
  readonly node: string;
  readonly #target: Target;
  readonly #everyMs: number;
  readonly #onSample: (sample: Sample) => void;
  #session: Session | null = null;
  #isStopped = false;
  #loop: Promise<void> | null = null;

  constructor(target: Target, everyMs: number, onSample: (sample: Sample) => void) {
    this.node = target.node;
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
      await delay(Math.max(1, this.#everyMs - (nowMs() - sample.sentMs)));
    }
  }

  async #ask(): Promise<Sample> {
    const sentMs = nowMs();
    const found = (state: Sample['state'], timeline: number | null = null): Sample => ({
      node: this.node,
      sentMs,
      receivedMs: nowMs(),
      state,
      timeline,
    });
    if (this.#session?.isOpen !== true) this.#session = await Session.open(this.#target, connectTimeoutMs);
    if (this.#session === null) return found('unreachable');
    const answer = await this.#session.run(question, answerTimeoutMs);
    const row = answer.kind === 'rows' ? answer.rows[0] : undefined;
    if (row === undefined) {
      this.#session.destroy();
      return found('unreachable');
    }
    const isWritable = row.replica === false && row.read_only === 'off';
    const timeline = typeof row.timeline === 'string' ? Number.parseInt(row.timeline, 16) : null;
    return found(isWritable ? 'writable' : 'read-only', timeline);
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
      (sample) => sample.state === 'writable' && nowMs() - sample.receivedMs < believedMs,
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
