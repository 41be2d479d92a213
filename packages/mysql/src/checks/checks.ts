import { monotonicMs, reasonOf } from '@understudy/base';
import type { MemberId, PromiseVoid } from '@understudy/core';
import type { ClusterContext } from '@understudy/engine';
import { hasRight } from '../commands/strangers.ts';
import type { Instance } from '../instance.ts';
import { readChannel } from '../observe/channel.ts';
import { LagWatch } from '../observe/lag.ts';
import type { Session } from '../sql/session.ts';
import { lagCause, receiveCause, threadStates } from './lag-cause.ts';
import { PreparedWatch, preparedTransactions, preparedWarning } from './prepared.ts';
import { foreignTables, standingWarnings } from './standing.ts';
import { readVoids } from './voids.ts';

const everyMs = 30_000;
/** What voids the promise is known within ten seconds. */
const voidsEveryMs = 4000;
const queryTimeoutMs = 1000;
/** Before that, nobody needs to know why. */
const lagsAfterMs = 2000;

/** Looks now and then for what people should know about a running server. Only looks: nothing is changed. */
export class Checks {
  readonly #instance: Instance;
  readonly #prepared = new PreparedWatch();
  #voidsMs = Number.NEGATIVE_INFINITY;
  #tables: readonly PromiseVoid[] = [];
  #looked: { readonly at: string; readonly atMs: number } | null = null;
  #standing: readonly string[] = [];
  #lag: string | null = null;
  /** What the source holds against what has been received. */
  readonly #receiving = new LagWatch();

  constructor(instance: Instance) {
    this.#instance = instance;
  }

  get warnings(): readonly string[] {
    const voids = this.#instance.facts.voids.map(({ text }) => text);
    const others = this.#standing.filter((text) => !voids.includes(text));
    return [...(this.#lag === null ? [] : [this.#lag]), ...voids, ...others];
  }

  /** Called every second or so. What cannot be looked at now is looked at the next time. */
  async run(pid: number, context: ClusterContext): Promise<void> {
    const { sql, facts, log } = this.#instance;
    const { role } = facts.of(pid);
    const source = this.#lookAtSource(context);
    // A server that has just been opened is looked at at once.
    const at = `${pid} ${role}`;
    const isDue = this.#looked?.at !== at || monotonicMs() - this.#looked.atMs >= everyMs;
    const voidsDue = isDue || monotonicMs() - this.#voidsMs >= voidsEveryMs;
    const isLate = this.#lags() || source !== null;
    if (!isLate) this.#lag = null;
    if (!voidsDue && !isLate) return;
    try {
      // A connection of its own: the kept one must answer at once.
      await sql.fresh(queryTimeoutMs, async (session) => {
        if (isLate) this.#lag = await this.#whyItLags(session, source);
        if (isDue) await this.#look(session, at);
        if (voidsDue) await this.#lookForVoids(session, pid);
      });
    } catch (error) {
      log({
        level: 'debug',
        message: 'a look for what people should know failed',
        fields: { reason: reasonOf(error) },
      });
    }
  }

  async #lookForVoids(session: Session, pid: number): Promise<void> {
    const { facts } = this.#instance;
    const found = await readVoids(this.#instance, session, facts.of(pid).role);
    this.#voidsMs = monotonicMs();
    facts.of(pid).voids = [...found, ...this.#tables];
  }

  /**
   * Notes whether what the source was known to hold a while ago has arrived.
   *
   * @returns who it is when it has not.
   */
  #lookAtSource({ positions, members, self }: ClusterContext): MemberId | null {
    const { seen } = this.#instance;
    const state = seen();
    const source = state?.receiver.kind === 'streaming' ? state.upstream : null;
    const holds = source === null ? undefined : positions.get(source);
    const isLateOnPurpose = (members.get(self)?.tags.delayMs ?? 0) > 0;
    const received = state?.position ?? null;
    if (source === null || holds === undefined || received === null || isLateOnPurpose) {
      this.#receiving.reset();
      return null;
    }
    this.#receiving.look(holds, received);
    return this.#receiving.lagMs >= lagsAfterMs ? source : null;
  }

  #lags(): boolean {
    return this.#instance.lag.lagMs >= lagsAfterMs;
  }

  async #look(session: Session, at: string): Promise<void> {
    const { role } = this.#instance.facts;
    const wasOpened = this.#looked?.at !== at;
    this.#looked = { at, atMs: monotonicMs() };
    const standing = await standingWarnings(this.#instance, session, role);
    const tables = await foreignTables(session);
    this.#tables = role === 'primary' && tables !== null ? [{ effect: 'assumed', text: tables }] : [];
    await this.#forgetStrangers(session);
    const prepared = role === 'primary' ? await this.#undecided(session, wasOpened ? 'all' : 'forgotten') : null;
    this.#standing = [prepared, tables, ...standing].filter((text) => text !== null);
  }

  /** Whose right to receive the log was taken, and who has it again, is none any more until he is caught again. */
  async #forgetStrangers(session: Session): Promise<void> {
    const { acks, process: server } = this.#instance;
    for (const { user, right } of server.running === null ? [] : acks.strangers(server.running.pid)) {
      if (right === 'taken' && (await hasRight(session, user))) acks.letIn(user);
    }
  }

  async #whyItLags(session: Session, source: MemberId | null): Promise<string | null> {
    const { lag, dialect } = this.#instance;
    if (!this.#lags() && source !== null) {
      return receiveCause(this.#receiving.lagMs, source, await threadStates(session));
    }
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
