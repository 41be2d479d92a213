import { randomUUID } from 'node:crypto';
import { monotonicMs, pause, reasonOf, withDeadline } from '@understudy/base';
import { CliError } from '../errors.ts';
import { connectToPrimary, noAnswer } from '../sql/connect.ts';
import type { Login } from '../sql/login.ts';
import type { Driver, Host, Session } from '../sql/session.ts';

/** A time without acknowledged writes: the connection broke, or it took longer than usual. */
export interface Interruption {
  /** From the last acknowledgement before it to the first after it. */
  readonly durationMs: number;
  readonly from: string | null;
  readonly to: string;
}

export interface ProbeSummary {
  readonly acknowledged: number;
  /** Rows that were sent and whose answer never came: they may be there or not. */
  readonly unknown: number;
  /** Acknowledged rows that are not there; known only in the end. */
  readonly lost: number;
  readonly interruptions: readonly Interruption[];
  /** Where it writes now. */
  readonly on: string | null;
}

export interface ProbeOptions {
  readonly driver: Driver;
  readonly hosts: readonly Host[];
  readonly login: Login;
  readonly everyMs: number;
  readonly onInterruption: (interruption: Interruption) => void;
}

const connectTimeoutMs = 1000;
/** How long one row may take before the client gives up on its connection. */
const answerTimeoutMs = 1000;
const retryMs = 20;
/** Shorter pauses are those of a busy machine, unless the connection broke. */
const noticedMs = 150;
const prepareMs = 30_000;
const verifyMs = 60_000;
const rowsMax = 5_000_000;
const interruptionsMax = 10_000;

/**
 * One client that writes numbered rows to whichever server is the primary and never repeats one: what it was promised is what it
 * checks in the end.
 */
export class ProbeWriter {
  readonly #options: ProbeOptions;
  readonly #run = randomUUID();
  readonly #acknowledged: number[] = [];
  readonly #interruptions: Interruption[] = [];
  #session: Session | null = null;
  #next = 1;
  #unknown = 0;
  #brokeSince = false;
  #lastAckMs: number | null = null;
  #lastHost: string | null = null;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  summary(lost = 0): ProbeSummary {
    return {
      acknowledged: this.#acknowledged.length,
      unknown: this.#unknown,
      lost,
      interruptions: this.#interruptions,
      on: this.#session?.host.name ?? null,
    };
  }

  /** Makes the table. @throws CliError `UNREACHABLE` when there is no primary, `REFUSED` */
  async prepare(signal: AbortSignal): Promise<void> {
    await this.#untilDone(this.#options.driver.probe.create, [], prepareMs, signal);
  }

  /** Writes until `signal`. */
  async write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#next <= rowsMax) {
      const session = await this.#connected();
      if (session === null) {
        await pause(retryMs, signal);
        continue;
      }
      const startedMs = monotonicMs();
      await this.#row(session);
      await pause(Math.max(0, this.#options.everyMs - (monotonicMs() - startedMs)), signal);
    }
  }

  /** Reads back what was acknowledged, and takes the table away if nothing is missing. */
  async finish(): Promise<ProbeSummary> {
    const { select, drop } = this.#options.driver.probe;
    const rows = await this.#untilDone(select, [this.#run], verifyMs);
    const present = new Set(rows.map(({ n }) => Number(n)));
    const lost = this.#acknowledged.filter((n) => !present.has(n)).length;
    if (lost === 0) await this.#untilDone(drop, [], verifyMs);
    const summary = this.summary(lost);
    await this.#drop();
    return summary;
  }

  async #row(session: Session): Promise<void> {
    const n = this.#next++;
    try {
      const sent = session.query(this.#options.driver.probe.insert, [this.#run, n]);
      await withDeadline(sent, answerTimeoutMs, noAnswer(answerTimeoutMs));
    } catch {
      this.#unknown += 1;
      this.#brokeSince = true;
      await this.#drop();
      return;
    }
    const ackedMs = monotonicMs();
    const durationMs = Math.round(ackedMs - (this.#lastAckMs ?? ackedMs));
    if (this.#brokeSince || durationMs >= Math.max(noticedMs, 3 * this.#options.everyMs)) {
      const interruption = { durationMs, from: this.#lastHost, to: session.host.name };
      if (this.#interruptions.length < interruptionsMax) this.#interruptions.push(interruption);
      this.#options.onInterruption(interruption);
    }
    this.#brokeSince = false;
    this.#lastAckMs = ackedMs;
    this.#lastHost = session.host.name;
    this.#acknowledged.push(n);
  }

  async #connected(): Promise<Session | null> {
    const { driver, hosts, login } = this.#options;
    this.#session ??= await connectToPrimary(driver, hosts, login, connectTimeoutMs);
    return this.#session;
  }

  async #drop(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.close();
  }

  /** Carries out a statement that may be repeated, on the primary, as often as it takes. */
  async #untilDone(
    text: string,
    values: readonly unknown[],
    limitMs: number,
    signal?: AbortSignal,
  ): Promise<readonly { readonly n?: unknown }[]> {
    const endMs = monotonicMs() + limitMs;
    let problem = 'no server is open for writes';
    while (monotonicMs() < endMs && signal?.aborted !== true) {
      const session = await this.#connected();
      if (session !== null) {
        try {
          return await withDeadline(session.query(text, values), limitMs, noAnswer(limitMs));
        } catch (error) {
          problem = reasonOf(error);
          await this.#drop();
        }
      }
      await pause(10 * retryMs, signal);
    }
    if (signal?.aborted === true) throw new CliError('INTERRUPTED', 'Interrupted before anything was written.');
    throw new CliError('UNREACHABLE', `Not done within ${limitMs / 1000} s: ${problem}.`, {
      next: 'See: understudy status',
    });
  }
}
