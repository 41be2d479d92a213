import { monotonicMs, reasonOf } from '@understudy/base';
import { memberId } from '@understudy/core';
import type { ClusterContext, EngineDetails, LoginsSeen } from '@understudy/engine';
import { boundLog, type Probe } from '@understudy/engine/host';
import { AccessRules } from './commands/access-rules.ts';
import { conninfoOf, follow } from './commands/follow.ts';
import { keepMemberLogins, lookAtLogins } from './commands/member-logins.ts';
import { keepSendersForMembers } from './commands/member-senders.ts';
import { keepStandbySignal } from './commands/promote.ts';
import { waitForNobody } from './commands/provision.ts';
import { reload, takeBack } from './commands/reload.ts';
import { keepRoles } from './commands/roles.ts';
import { dropStaleLogicalSlots, keepSlots } from './commands/slots.ts';
import { provenSettings } from './config/settings.ts';
import type { Instance } from './instance.ts';
import { standingWarnings } from './observe/standing.ts';
import { lookForVoids, unloggedWarnings } from './observe/voids.ts';
import { includeName } from './paths.ts';
import type { PgSession } from './sql/session.ts';

const queryTimeoutMs = 2000;
const reloadTimeoutMs = 1000;
/** Warnings change rarely and cost a look at several catalogs; what voids the promise must be said within ten seconds. */
const warningsEveryMs = 5000;
const unloggedEveryMs = 60_000;
const slotsEveryMs = 2000;
const logBytesMax = 32 * 1024 * 1024;

/** Settings of our include that another file, or ALTER SYSTEM, overrides. */
const overriddenQuery = `select f.name, f.sourcefile, f.sourceline, o.sourcefile as winner, o.sourceline as winner_line
  from pg_file_settings f join pg_file_settings o on o.name = f.name and o.applied and o.seqno > f.seqno
  where f.sourcefile like '%/${includeName}' and not f.applied and o.sourcefile not like '%/${includeName}'`;

/** Where a session could be had if the usual databases took none. */
const databasesQuery = `select datname from pg_database where datallowconn and datname not in ('postgres', 'template1') order by oid`;

const pausedQuery = `select case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() = 'paused' else false end as paused`;

const pausedWarning =
  'Replay is paused: reads here do not advance, and a promotion would have to replay what was received meanwhile. Somebody called ' +
  'pg_wal_replay_pause(), or the primary has parameters (max_connections and the like) that are higher than here: restart this member.';

const signalNotice =
  'Somebody had removed standby.signal; it was put back. With it, any start of this server, by anybody, is a standby. `understudy pause` keeps Understudy from electing, starting and stopping while you work on servers by hand.';

/** Whether the receiver's connection string is not what it would be now: an address or a file has changed, or an older agent wrote it. */
function isStale(instance: Instance, upstream: { member: string; conninfo: string }, context: ClusterContext): boolean {
  const member = context.members.get(memberId(upstream.member));
  return member !== undefined && conninfoOf(instance, member) !== upstream.conninfo;
}

/** Standing work on a running server that no command asks for, and the facts for people that it finds on the way. */
export class Maintenance {
  readonly #instance: Instance;
  readonly #probe: Pick<Probe, 'trouble'>;
  #slotsMs = Number.NEGATIVE_INFINITY;
  #warningsMs = Number.NEGATIVE_INFINITY;
  #retained: Readonly<Record<string, number>> = {};
  #warnings: readonly string[] = [];
  #unloggedMs = Number.NEGATIVE_INFINITY;
  #unlogged: readonly string[] = [];
  #pendingRestart: readonly string[] = [];
  readonly #access: AccessRules;
  #logins: LoginsSeen | null = null;

  constructor(instance: Instance, probe: Pick<Probe, 'trouble'>) {
    this.#instance = instance;
    this.#access = new AccessRules(() => instance.postmaster.signal('SIGHUP'));
    this.#probe = probe;
  }

  /** Facts as of the last look. */
  details(): Pick<EngineDetails, 'retainedBytes' | 'warnings' | 'pendingRestart' | 'logins'> {
    const now = [this.#instance.sql.refused, this.#probe.trouble].filter((text) => text !== null);
    return {
      retainedBytes: this.#retained,
      warnings: [...now, ...this.#warnings, ...this.#instance.notices.recent()],
      pendingRestart: this.#pendingRestart,
      logins: this.#logins,
    };
  }

  /**
   * Writes what the cluster wants of the server now. Run as a command among the others: what it keeps in force must not come after a seal
   * that was given meanwhile.
   */
  async configure(context: ClusterContext): Promise<void> {
    const { postmaster, facts, config } = this.#instance;
    const running = postmaster.running;
    if (running === null || facts.of(running.pid).role === 'unknown') return;
    // First: what it logs in with is part of how it follows.
    const written = config.learn(context);
    const { upstream } = config.replication;
    if (upstream !== null && facts.of(running.pid).role === 'replica' && isStale(this.#instance, upstream, context)) {
      await follow(this.#instance, memberId(upstream.member), context);
      this.#warningsMs = Number.NEGATIVE_INFINITY;
    } else if (written === 'behind') {
      await config.write(config.replication);
      await reload(this.#instance, { 'understudy.generation': config.generation }, reloadTimeoutMs);
      this.#warningsMs = Number.NEGATIVE_INFINITY;
    }
  }

  async run(context: ClusterContext): Promise<void> {
    const { postmaster, facts, sql } = this.#instance;
    const running = postmaster.running;
    if (running === null) return;
    const { role } = facts.of(running.pid);
    if (role === 'unknown') return;
    if (facts.of(running.pid).voids === null) this.#warningsMs = Number.NEGATIVE_INFINITY;
    if ((await keepStandbySignal(this.#instance)) === 'missing') this.#instance.notices.add(signalNotice);
    const nowMs = monotonicMs();
    const isTimeToLook = nowMs - this.#warningsMs >= warningsEveryMs;
    if (isTimeToLook) this.#warningsMs = nowMs;
    // What fails here is said last, so that none of it hides the rest.
    const [files] = await Promise.allSettled(isTimeToLook ? [this.#keepFiles()] : []);
    const session = await sql.worker(queryTimeoutMs);
    const [look] = await Promise.allSettled(isTimeToLook ? [this.#look(session, role, context)] : []);
    const [logins] = await Promise.allSettled([this.#keepLogins(session, role, context)]);
    if (nowMs - this.#slotsMs >= slotsEveryMs) {
      this.#slotsMs = nowMs;
      this.#retained = await keepSlots(this.#instance, session, role, context, queryTimeoutMs);
      if (role === 'primary') await keepSendersForMembers(this.#instance, session, context, queryTimeoutMs);
      else await dropStaleLogicalSlots(this.#instance, session, queryTimeoutMs);
    }
    for (const part of [files, look, logins]) if (part?.status === 'rejected') throw part.reason;
  }

  async #keepLogins(session: PgSession, role: 'primary' | 'replica', context: ClusterContext): Promise<void> {
    const keep = async (): Promise<void> => {
      if (role !== 'primary') return;
      await session.rows(waitForNobody, queryTimeoutMs);
      await keepMemberLogins(session, this.#instance, context, queryTimeoutMs);
    };
    const [kept] = await Promise.allSettled([keep()]);
    const access = await this.#access.look(session, queryTimeoutMs);
    this.#logins = await lookAtLogins(session, context, access, queryTimeoutMs);
    if (kept.status === 'rejected') throw kept.reason;
  }

  async #keepFiles(): Promise<void> {
    const { config, postmaster, paths, owner } = this.#instance;
    await config.copyUserFiles(() => postmaster.signal('SIGHUP'));
    await boundLog(paths.log, owner, logBytesMax);
  }

  async #look(session: PgSession, role: 'primary' | 'replica', context: ClusterContext): Promise<void> {
    await this.#instance.sql.learnDatabases(
      (await session.rows(databasesQuery, queryTimeoutMs)).map((row) => row.datname ?? ''),
    );
    const pending = await session.rows('select name from pg_settings where pending_restart', queryTimeoutMs);
    this.#pendingRestart = pending.map((row) => row.name ?? '');
    const { config, postmaster, facts } = this.#instance;
    const found = await lookForVoids(session, config.synchronousCommit, queryTimeoutMs);
    if (postmaster.running !== null) facts.of(postmaster.running.pid).voids = found.voids;
    const overridden = await session.rows(overriddenQuery, queryTimeoutMs);
    const ours = overridden.map((row) => row.name ?? '').filter((name) => provenSettings.some((own) => own === name));
    if (ours.length > 0 && (await takeBack(this.#instance, ours)).length > 0) postmaster.signal('SIGHUP');
    await this.#lookAtUnlogged(session);
    const { paused } = await session.row(pausedQuery, queryTimeoutMs);
    // Last, and without an error: a repair that fails must not hide what else was seen.
    const repairs = role === 'primary' ? await this.#keepRoles(session, context) : [];
    this.#warnings = [
      ...config.problems(),
      ...config.certificateWarnings(context.members.get(context.self)?.host),
      ...repairs,
      ...(await standingWarnings(session, role, config.copiesSlots, queryTimeoutMs)),
      ...(paused === 't' ? [pausedWarning] : []),
      ...found.voids.map(({ text }) => text),
      ...found.warnings,
      ...this.#unlogged,
      ...overridden
        .filter((row) => !ours.includes(row.name ?? ''))
        .map(
          (row) =>
            `${row.name} is overridden in ${row.winner}:${row.winner_line}. The value of the cluster has no effect (ALTER SYSTEM RESET ${row.name}).`,
        ),
    ];
  }

  async #keepRoles(session: PgSession, context: ClusterContext): Promise<readonly string[]> {
    try {
      await session.rows(waitForNobody, queryTimeoutMs);
      const { repairs, warnings } = await keepRoles(session, this.#instance, context);
      for (const message of repairs) this.#instance.log({ level: 'warn', message });
      return [...repairs, ...warnings];
    } catch (error) {
      return [`The roles of Understudy could not be looked at, or set right: ${reasonOf(error)}`];
    }
  }

  async #lookAtUnlogged(session: PgSession): Promise<void> {
    const nowMs = monotonicMs();
    if (nowMs - this.#unloggedMs < unloggedEveryMs) return;
    this.#unloggedMs = nowMs;
    this.#unlogged = await unloggedWarnings(session, queryTimeoutMs);
  }
}
