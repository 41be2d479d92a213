import { monotonicMs, reasonOf } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { readIfThere, replaceFile } from '@understudy/engine/host';
import { roles } from '../names.ts';
import type { PostgresOptions } from '../options.ts';
import { databasesFile } from '../paths.ts';
import { sessionOptions } from './defaults.ts';
import { type Door, type Refusal, throughAnyDoor, type Ways } from './doors.ts';
import { PgSession } from './session.ts';

/** `probe`: for questions that are answered at once. `worker`: standing work, which waits for nobody's lock. `ordinary`: any SQL, for long. */
export type SessionKind = 'probe' | 'worker' | 'ordinary';

/** The databases that every cluster has. The second is what new databases are made of, so nobody should stay in it for long. */
export const usualDatabases = ['postgres', 'template1'] as const;
const databasesMax = 8;
/** After a failure: a login that hangs goes on waiting in the server, and uses one of its connections up. */
const workerEveryMs = 5000;
/** How long another door than the usual one is taken first, without knocking at the usual one. */
const otherDoorMs = 60_000;
/** A question that waits longer for a lock is answered with an error, which tells that the server lives. */
const lockTimeoutMs = 300;

/**
 * Connections to the own server over its private socket: one that is kept for observation, and fresh ones for proofs
 * (a process forked after a reload shows the reloaded values; an old one may not).
 */
export class LocalSql {
  readonly #options: PostgresOptions;
  readonly #major: number;
  #monitor: PgSession | null = null;
  #opening: Promise<PgSession> | null = null;
  #worker: PgSession | null = null;
  #workerAfterMs = 0;
  readonly #listeners: (() => void)[] = [];
  #databases: readonly string[] | null = null;
  #otherDoor: { readonly door: Door; readonly kind: SessionKind; readonly untilMs: number } | null = null;
  #refused: string | null = null;

  constructor(options: PostgresOptions, major: number) {
    this.#options = options;
    this.#major = major;
  }

  /** Calls back when the kept connection is cut: usually the first sign that an adopted server has died. */
  onCut(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** What keeps the agent out where it usually connects, as a sentence; null when nothing does. */
  get refused(): string | null {
    return this.#refused;
  }

  /** The kept connection, if there is one. */
  get kept(): PgSession | null {
    return this.#monitor?.isOpen === true ? this.#monitor : null;
  }

  /** The kept connection, made when there is none. */
  async monitor(timeoutMs: number): Promise<PgSession> {
    if (this.#monitor?.isOpen) return this.#monitor;
    this.#opening ??= this.#openMonitor(timeoutMs).finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #openMonitor(timeoutMs: number): Promise<PgSession> {
    const session = await this.#open(timeoutMs, 'probe', () => {
      if (this.#monitor === session) this.#monitor = null;
      for (const listener of this.#listeners) listener();
    });
    this.#monitor = session;
    return session;
  }

  /** A second kept connection, for standing work: what makes it wait costs the observation nothing. */
  async worker(timeoutMs: number): Promise<PgSession> {
    if (this.#worker?.isOpen === true) return this.#worker;
    if (monotonicMs() < this.#workerAfterMs) throw new EngineError('ENGINE_UNREACHABLE', 'Logins hang; waiting.');
    this.#workerAfterMs = monotonicMs() + workerEveryMs;
    this.#worker = await this.#open(timeoutMs, 'worker');
    this.#workerAfterMs = 0;
    return this.#worker;
  }

  /** Runs `work` on a new connection, which is closed afterwards. `ordinary`: one that may run any SQL for long. */
  async fresh<T>(timeoutMs: number, work: (session: PgSession) => Promise<T>, kind: SessionKind = 'probe'): Promise<T> {
    const session = await this.open(timeoutMs, kind);
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  }

  /** As `fresh`, in one database and no other: what is granted on functions belongs to it. */
  async freshIn<T>(database: string, timeoutMs: number, work: (session: PgSession) => Promise<T>): Promise<T> {
    const only = { ...(await this.#ways('ordinary')), databases: [database] };
    const session = (await throughAnyDoor(only, null, (door) => this.#through(door, 'ordinary', timeoutMs))).result;
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  }

  /** A new connection that the caller closes. */
  async open(timeoutMs: number, kind: SessionKind = 'probe'): Promise<PgSession> {
    return this.#open(timeoutMs, kind);
  }

  async #open(timeoutMs: number, kind: SessionKind, onClose?: () => void): Promise<PgSession> {
    const endMs = monotonicMs() + timeoutMs;
    const { result, door, refusals } = await throughAnyDoor(await this.#ways(kind), this.#firstDoor(kind), (door) =>
      this.#through(door, kind, Math.max(1, Math.round(endMs - monotonicMs())), onClose),
    );
    this.#remember(door, kind, refusals);
    return result;
  }

  /** Where a session may be had, the usual database first. They are the same on every member. */
  async databases(): Promise<readonly string[]> {
    this.#databases ??= await readDatabases(this.#options.runDir);
    return [...new Set([...usualDatabases, ...this.#databases])];
  }

  async #ways(kind: SessionKind): Promise<Ways> {
    const databases = await this.databases();
    // A replication connection uses a slot of `max_wal_senders`: clients that fill `max_connections` cannot keep it out.
    const replication = kind === 'probe' ? (['database', 'none'] as const) : (['none', 'database'] as const);
    return { users: [roles.superuser, roles.agent], databases, replication };
  }

  #firstDoor(kind: SessionKind): Door | null {
    const other = this.#otherDoor;
    return other !== null && other.kind === kind && monotonicMs() < other.untilMs ? other.door : null;
  }

  #remember(door: Door, kind: SessionKind, refusals: readonly Refusal[]): void {
    const { database, user } = door;
    const usual = database === usualDatabases[0] && user === roles.superuser;
    if (usual) {
      if (refusals.length === 0) this.#refused = null;
      if (this.#otherDoor?.kind === kind) this.#otherDoor = null;
      return;
    }
    const why = refusals.find(({ obstacle }) => obstacle !== 'replication');
    if (why === undefined) return;
    this.#otherDoor = { door, kind, untilMs: monotonicMs() + otherDoorMs };
    const copying = database === 'template1' ? ' (CREATE DATABASE needs "template template0" meanwhile)' : '';
    this.#refused = `The agent cannot connect as it usually does: ${reasonOf(why.error)} It uses the database ${database} as ${user}${copying}.`;
  }

  #through(door: Door, kind: SessionKind, timeoutMs: number, onClose?: () => void): Promise<PgSession> {
    const { runDir, listen } = this.#options;
    const needs = { major: this.#major, privileges: 'superuser' } as const;
    const target = {
      ...door,
      host: runDir,
      port: listen.port,
      password: null,
      applicationName: 'understudy agent',
      ssl: null,
      options: sessionOptions({ ...needs, lockTimeoutMs: kind === 'ordinary' ? 0 : lockTimeoutMs }),
    };
    return PgSession.open(target, timeoutMs, onClose);
  }

  /** Keeps the names of databases that take connections, for the day on which the usual ones do not; also for a later agent. */
  async learnDatabases(names: readonly string[]): Promise<void> {
    const known = names.slice(0, databasesMax);
    this.#databases ??= await readDatabases(this.#options.runDir);
    if (JSON.stringify(known) === JSON.stringify(this.#databases)) return;
    this.#databases = known;
    const file = databasesFile(this.#options.runDir);
    await replaceFile(file, JSON.stringify(known), null, { durability: 'cached' });
  }

  /** Running value of a setting as a new process sees it. */
  async freshSettings(names: readonly string[], timeoutMs: number): Promise<Readonly<Record<string, string>>> {
    const list = names.map((name) => `current_setting('${name}', true) as "${name}"`).join(', ');
    const row = await this.fresh(timeoutMs, (session) => session.row(`select ${list}`, timeoutMs));
    return Object.fromEntries(names.map((name) => [name, row[name] ?? '']));
  }

  async close(): Promise<void> {
    const kept = [this.#monitor, this.#worker];
    this.#monitor = null;
    this.#worker = null;
    await Promise.all(kept.map((session) => session?.close()));
  }

  /** Cuts the kept connections, so that nothing waits for a server that is about to be killed. */
  cut(): void {
    this.#monitor?.destroy();
    this.#monitor = null;
    this.#worker?.destroy();
    this.#worker = null;
  }
}

async function readDatabases(runDir: string): Promise<readonly string[]> {
  try {
    const names: unknown = JSON.parse((await readIfThere(databasesFile(runDir))) ?? 'null');
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string').slice(0, databasesMax) : [];
  } catch {
    return [];
  }
}

/** What a query that must return a value did not return. */
export function missing(what: string): EngineError {
  return new EngineError('ENGINE_INTERNAL', `The server did not say its ${what}.`, { retry: 'unknown' });
}
