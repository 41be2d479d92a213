import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '@understudy/base';
import type { Database } from '../database/database.ts';
import type { Session, Target } from '../database/session.ts';

const firstMs = 400;
const longestMs = 6400;
const lookEveryMs = 20;
const retryMs = 15;

/**
 * How long the next login may take. A client that gives up early and comes again at once, with all the others, keeps a busy server at work
 * on logins that nobody waits for any more: each one that ran out of time doubles the next one's.
 *
 * @param limitMs what the last one was given
 * @param tookMs how long it took
 */
export function nextLoginMs(limitMs: number, tookMs: number, result: 'in' | 'failed'): number {
  if (result === 'in') return firstMs;
  return tookMs < 0.9 * limitMs ? limitMs : Math.min(2 * limitMs, longestMs);
}

export interface LoginOptions {
  readonly database: Pick<Database, 'open'>;
  /** The node that takes writes now, as far as is known; null while none does. */
  readonly primary: () => string | null;
}

/** The logins of one client. */
export class Login {
  readonly #options: LoginOptions;
  #limitMs = firstMs;
  /** A login that was given up for another node's; its session is dropped when it comes. */
  #left: Promise<void> = Promise.resolve();

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  /** A new session, or null after a pause: refused, out of time, or another node takes writes by now. Never rejects. */
  async to(target: Target): Promise<Session | null> {
    await this.#left;
    const startMs = monotonicMs();
    const limitMs = this.#limitMs;
    const opening = this.#options.database.open(target, limitMs);
    const session = await this.#unlessElsewhere(opening, target);
    if (session === 'elsewhere') {
      this.#limitMs = firstMs;
      this.#left = opening.then((late) => late?.destroy());
      return null;
    }
    this.#limitMs = nextLoginMs(limitMs, monotonicMs() - startMs, session === null ? 'failed' : 'in');
    if (session === null) await delay(retryMs * (1 + Math.random()));
    return session;
  }

  /** Waits until the last login that was given up has ended. */
  async close(): Promise<void> {
    await this.#left;
  }

  async #unlessElsewhere(opening: Promise<Session | null>, { node }: Target): Promise<Session | null | 'elsewhere'> {
    const ended = opening.then((session) => ({ session }));
    for (;;) {
      const first = await Promise.race([ended, delay(lookEveryMs, null)]);
      if (first !== null) return first.session;
      const primary = this.#options.primary();
      if (primary !== null && primary !== node) return 'elsewhere';
    }
  }
}
