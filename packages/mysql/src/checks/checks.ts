import { monotonicMs } from '@understudy/engine/host';
import { reasonOf } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { readChannel } from '../observe/channel.ts';
import type { Session } from '../sql/session.ts';
import { lagCause } from './lag-cause.ts';
import { PreparedWatch, preparedTransactions, preparedWarning } from './prepared.ts';
import { standingWarnings } from './standing.ts';

const everyMs = 30_000;
const queryTimeoutMs = 1000;
/** Before that, nobody needs to know why. */
const lagsAfterMs = 2000;

/** Looks now and then for what people should know about a running server. Only looks: nothing is changed. */
export class Checks {
  readonly #instance: Instance;
  readonly #prepared = new PreparedWatch();
  #looked: { readonly at: string; readonly atMs: number } | null = null;
  #standing: readonly string[] = [];
  #lag: string | null = null;

  constructor(instance: Instance) {
    this.#instance = instance;
  }

  get warnings(): readonly string[] {
    return this.#lag === null ? this.#standing : [this.#lag, ...this.#standing];
  }

  /** Called every second or so. What cannot be looked at now is looked at the next time. */
  async run(pid: number): Promise<void> {
    const { sql, facts, log } = this.#instance;
    const { role } = facts.of(pid);
    // A server that has just been opened is looked at at once.
    const at = `${pid} ${role}`;
    const isDue = this.#looked?.at !== at || monotonicMs() - this.#looked.atMs >= everyMs;
    if (!this.#lags()) this.#lag = null;
    if (!isDue && !this.#lags()) return;
    try {
      // A connection of its own: the kept one must answer at once.
      await sql.fresh(queryTimeoutMs, async (session) => {
        if (this.#lags()) this.#lag = await this.#whyItLags(session);
        if (isDue) await this.#look(session, at);
      });
    } catch (error) {
      log({
        level: 'debug',
        message: 'a look for what people should know failed',
        fields: { reason: reasonOf(error) },
      });
    }
  }

  #lags(): boolean {
    return this.#instance.lag.lagMs >= lagsAfterMs;
  }

  async #look(session: Session, at: string): Promise<void> {
    const { role } = this.#instance.facts;
    const wasOpened = this.#looked?.at !== at;
    this.#looked = { at, atMs: monotonicMs() };
    const standing = await standingWarnings(this.#instance, session, role);
    const prepared = role === 'primary' ? await this.#undecided(session, wasOpened ? 'all' : 'forgotten') : null;
    this.#standing = prepared === null ? standing : [prepared, ...standing];
  }

  async #whyItLags(session: Session): Promise<string | null> {
    const { lag, dialect } = this.#instance;
    const channel = await readChannel(session, dialect, queryTimeoutMs);
    // An error that stopped it is told by the observer.
    if (channel === null || channel.applierError !== null) return null;
    return lagCause(session, dialect, channel, lag.lagMs);
  }

  async #undecided(session: Session, all: 'all' | 'forgotten'): Promise<string | null> {
    const ids = await preparedTransactions(session, this.#instance.dialect);
    return preparedWarning(this.#prepared.look(ids, all));
  }
}
