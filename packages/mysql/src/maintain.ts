import { monotonicMs, reasonOf } from '@understudy/base';
import type { ClusterContext, LoginsSeen } from '@understudy/engine';
import type { RunningServer } from '@understudy/engine/host';
import { boundLog } from '@understudy/engine/host';
import { lookAtLogins } from './accounts.ts';
import { Checks } from './checks/checks.ts';
import { keepReplication } from './commands/follow.ts';
import { settleReceived } from './commands/settle.ts';
import { type Parameters, sqlValue } from './config/file.ts';
import { canonicalName } from './config/settings.ts';
import { serverErrorOf } from './errors.ts';
import type { Instance } from './instance.ts';
import { quoteIdentifier } from './names.ts';
import { askSource } from './observe/ask-source.ts';
import { findErrant } from './observe/errant.ts';

/** These change rarely. */
const rareEveryMs = 10_000;
const connectTimeoutMs = 1000;
const errantEveryMs = 3000;
/** Peers take an agent that decides nothing for 8 s for one that hangs. What was applied by then is not applied again. */
const settleTimeoutMs = 5000;
const logBytesMax = 32 * 1024 * 1024;
/** The variable can only be set before a start. */
const readOnlyVariable = 1238;

/** Standing work on a running server that no command asks for, and the facts for people that it finds on the way. */
export class Maintenance {
  readonly #instance: Instance;
  readonly #checks: Checks;
  #rareMs = Number.NEGATIVE_INFINITY;
  #errantMs = Number.NEGATIVE_INFINITY;
  /** What the server has been given, at its start or since. */
  #given: { readonly pid: number; readonly parameters: Parameters } | null = null;
  #pending: readonly string[] = [];
  #refused: readonly string[] = [];
  #logins: LoginsSeen | null = null;
  /** By which the others reach this member. */
  #host: string | undefined;

  constructor(instance: Instance) {
    this.#instance = instance;
    this.#checks = new Checks(instance);
  }

  /** Parameters that take effect with the next start. */
  get pendingRestart(): readonly string[] {
    return this.#pending;
  }

  /** As of the last look. */
  get logins(): LoginsSeen | null {
    return this.#logins;
  }

  get warnings(): readonly string[] {
    const { config } = this.#instance;
    return [
      ...this.#checks.warnings,
      ...config.problems(),
      ...config.certificateWarnings(this.#host),
      ...this.#refused,
    ];
  }

  #answering(): RunningServer | null {
    const { process: server, facts } = this.#instance;
    const { running } = server;
    return running !== null && facts.of(running.pid).answered === 'once' ? running : null;
  }

  /**
   * What begins receiving, applying or counting. Run as a command among the others: it must not begin again what a seal that was given
   * meanwhile has ended.
   */
  async configure(context: ClusterContext): Promise<void> {
    const running = this.#answering();
    if (running === null) return;
    this.#instance.config.learn(context);
    // Cut short when an earlier agent died over it. First: MariaDB throws away what is not applied when replication begins again.
    if (this.#instance.facts.of(running.pid).received === 'unknown') {
      await settleReceived(this.#instance, AbortSignal.timeout(settleTimeoutMs));
    }
    await keepReplication(this.#instance, context);
  }

  async run(context: ClusterContext): Promise<void> {
    const { facts, config, acks } = this.#instance;
    const running = this.#answering();
    if (running === null) return;
    config.learn(context);
    this.#host = context.members.get(context.self)?.host;
    // When the server is full already there is nothing to do but to go on.
    if (facts.life === 'serving') await this.#instance.sql.keepSpares(connectTimeoutMs).catch(() => undefined);
    // First: they tell why the rest, and what was configured before, fails.
    await this.#checks.run(running.pid, context);
    await this.#lookForErrant(running, context);
    this.#logins = await this.#instance.sql.fresh(connectTimeoutMs, (session) =>
      lookAtLogins(this.#instance, session, context, acks.wanted(running.pid)?.members ?? null),
    );
    await this.#applyParameters(running.pid);
    const nowMs = monotonicMs();
    if (nowMs - this.#rareMs < rareEveryMs) return;
    this.#rareMs = nowMs;
    if ((await config.copyCertificates()) === 'changed') await this.#reloadCertificates();
    await boundLog(this.#instance.paths.log, this.#instance.owner, logBytesMax);
  }

  /** Gives the server at once what has changed and can change while it runs; says what needs a restart. */
  async #applyParameters(pid: number): Promise<void> {
    const { config, sql } = this.#instance;
    const wanted = config.wanted();
    if (this.#given?.pid !== pid) {
      this.#given = { pid, parameters: config.started() };
      this.#pending = [];
      this.#refused = [];
    }
    const { parameters } = this.#given;
    const changed = Object.entries(wanted).filter(([name, value]) => parameters[name] !== value);
    // The server's own default for what is not wanted any more is known to nobody but a new start.
    const dropped = Object.keys(parameters).filter((name) => wanted[name] === undefined);
    if (changed.length === 0 && dropped.length === 0) return;
    this.#pending = [...new Set([...this.#pending, ...dropped])];
    const session = await sql.monitor(1000);
    const refused: string[] = [];
    for (const [name, value] of changed) {
      try {
        await session.query(`set global ${quoteIdentifier(canonicalName(name))} = ${sqlValue(value)}`);
      } catch (error) {
        if (serverErrorOf(error) === undefined) throw error;
        if (serverErrorOf(error) === readOnlyVariable) this.#pending = [...new Set([...this.#pending, name])];
        else refused.push(`The server did not take the parameter ${name}: ${reasonOf(error)}. Correct its value.`);
      }
    }
    this.#refused = refused;
    this.#given = { pid, parameters: wanted };
  }

  async #lookForErrant(running: RunningServer, { positions, members }: ClusterContext): Promise<void> {
    const { facts, upstream, errant, sql, dialect, options } = this.#instance;
    const nowMs = monotonicMs();
    if (facts.of(running.pid).role !== 'replica' || nowMs - this.#errantMs < errantEveryMs) return;
    this.#errantMs = nowMs;
    const source = (await upstream.of(running))?.member;
    const position = source === undefined ? undefined : positions.get(source);
    const member = source === undefined ? undefined : members.get(source);
    if (position?.kind !== 'gtid' || member === undefined) return;
    const ask = () => askSource(options, member);
    const found = await sql.fresh(connectTimeoutMs, (session) => findErrant(session, dialect, position, ask));
    if (found !== 'unknown') errant.note(running.pid, found);
  }

  async #reloadCertificates(): Promise<void> {
    const session = await this.#instance.sql.monitor(1000);
    await session.query(this.#instance.dialect.reloadCertificates);
  }
}
