import { copyFile, stat, truncate } from 'node:fs/promises';
import type { ClusterContext, EngineDetails } from '@understudy/engine';
import { monotonicMs } from '@understudy/engine/host';
import { waitForNobody } from './commands/provision.ts';
import { reload } from './commands/reload.ts';
import { keepRoles } from './commands/roles.ts';
import { keepSlots } from './commands/slots.ts';
import { provenSettings } from './config/settings.ts';
import type { Instance } from './instance.ts';
import type { Probe } from './observe/probe.ts';
import { includeName } from './paths.ts';
import type { PgSession } from './sql/session.ts';

const queryTimeoutMs = 2000;
const reloadTimeoutMs = 1000;
/** Warnings change rarely and cost a look at several catalogs. */
const warningsEveryMs = 10_000;
const slotsEveryMs = 2000;
const logBytesMax = 32 * 1024 * 1024;

/** What lowers the durability of single roles or databases, and no setting of the server can forbid (P2). */
const loweredCommitQuery = `select coalesce(d.datname, 'every database') as db, coalesce(r.rolname, 'every role') as role, c as setting
  from pg_db_role_setting s cross join unnest(s.setconfig) c
  left join pg_database d on d.oid = s.setdatabase left join pg_roles r on r.oid = s.setrole
  where c like 'synchronous_commit=%' and c not in ('synchronous_commit=on', 'synchronous_commit=remote_apply')`;

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

/** Standing work on a running server that no command asks for, and the facts for people that it finds on the way. */
export class Maintenance {
  readonly #instance: Instance;
  readonly #probe: Pick<Probe, 'trouble'>;
  #slotsMs = Number.NEGATIVE_INFINITY;
  #warningsMs = Number.NEGATIVE_INFINITY;
  #retained: Readonly<Record<string, number>> = {};
  #warnings: readonly string[] = [];
  #pendingRestart: readonly string[] = [];

  constructor(instance: Instance, probe: Pick<Probe, 'trouble'>) {
    this.#instance = instance;
    this.#probe = probe;
  }

  /** Facts as of the last look. */
  details(): Pick<EngineDetails, 'retainedBytes' | 'warnings' | 'pendingRestart'> {
    const now = [this.#instance.sql.refused, this.#probe.trouble].filter((text) => text !== null);
    return {
      retainedBytes: this.#retained,
      warnings: [...now, ...this.#warnings, ...this.#instance.notices.recent()],
      pendingRestart: this.#pendingRestart,
    };
  }

  async run(context: ClusterContext): Promise<void> {
    const { postmaster, facts, config, sql } = this.#instance;
    const running = postmaster.running;
    if (running === null) return;
    const { role } = facts.of(running.pid);
    if (role === 'unknown') return;
    if (config.learn(context) === 'behind') {
      await config.write(config.replication);
      await reload(this.#instance, { 'understudy.generation': config.generation }, reloadTimeoutMs);
      this.#warningsMs = Number.NEGATIVE_INFINITY;
    }
    const nowMs = monotonicMs();
    const isTimeToLook = nowMs - this.#warningsMs >= warningsEveryMs;
    if (isTimeToLook) {
      this.#warningsMs = nowMs;
      await this.#boundLog();
      if ((await config.copyUserFiles()) === 'changed') postmaster.signal('SIGHUP');
    }
    const session = await sql.worker(queryTimeoutMs);
    if (nowMs - this.#slotsMs >= slotsEveryMs) {
      this.#slotsMs = nowMs;
      this.#retained = await keepSlots(this.#instance, session, role, context, queryTimeoutMs);
    }
    if (isTimeToLook) await this.#look(session, role);
  }

  async #look(session: PgSession, role: 'primary' | 'replica'): Promise<void> {
    await this.#instance.sql.learnDatabases(
      (await session.rows(databasesQuery, queryTimeoutMs)).map((row) => row.datname ?? ''),
    );
    const repairs = role === 'primary' ? await this.#keepRoles(session) : [];
    const pending = await session.rows('select name from pg_settings where pending_restart', queryTimeoutMs);
    this.#pendingRestart = pending.map((row) => row.name ?? '');
    const lowered = await session.rows(loweredCommitQuery, queryTimeoutMs);
    const overridden = await session.rows(overriddenQuery, queryTimeoutMs);
    const { paused } = await session.row(pausedQuery, queryTimeoutMs);
    this.#warnings = [
      ...this.#instance.config.problems(),
      ...repairs,
      ...(paused === 't' ? [pausedWarning] : []),
      ...lowered.map(
        (row) =>
          `${row.setting} is set for ${row.role} in ${row.db}: commits there can be lost in a failover. Reset it if that is not wanted.`,
      ),
      ...overridden.map((row) => {
        const proven = provenSettings.some((name) => name === row.name);
        const effect = proven ? 'Failover cannot work until it is removed' : 'The value of the cluster has no effect';
        return `${row.name} is overridden in ${row.winner}:${row.winner_line}. ${effect} (ALTER SYSTEM RESET ${row.name}).`;
      }),
    ];
  }

  async #keepRoles(session: PgSession): Promise<readonly string[]> {
    await session.rows(waitForNobody, queryTimeoutMs);
    const repairs = await keepRoles(session, this.#instance);
    for (const message of repairs) this.#instance.log({ level: 'warn', message });
    return repairs;
  }

  /** Keeps the server's log from filling the disk: the server appends, so the file can be emptied under it. */
  async #boundLog(): Promise<void> {
    const file = this.#instance.paths.log;
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    );
    if (size <= logBytesMax) return;
    await copyFile(file, `${file}.1`);
    await truncate(file, 0);
  }
}
