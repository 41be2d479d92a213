import { EngineError } from '@understudy/engine';
import { roles } from '../names.ts';
import type { PostgresOptions } from '../options.ts';
import { PgSession, type SessionTarget } from './session.ts';

/**
 * Connections to the own server over its private socket: one that is kept for observation, and fresh ones for proofs
 * (a process forked after a reload shows the reloaded values; an old one may not).
 */
export class LocalSql {
  readonly #target: SessionTarget;
  #monitor: PgSession | null = null;
  #opening: Promise<PgSession> | null = null;
  readonly #listeners: (() => void)[] = [];

  constructor(options: PostgresOptions) {
    this.#target = {
      host: options.runDir,
      port: options.listen.port,
      user: roles.superuser,
      password: null,
      database: 'postgres',
      replication: 'database',
      applicationName: 'understudy agent',
      ssl: null,
    };
  }

  /** Calls back when the kept connection is cut: usually the first sign that an adopted server has died. */
  onCut(listener: () => void): void {
    this.#listeners.push(listener);
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
    const session = await PgSession.open(this.#target, timeoutMs, () => {
      if (this.#monitor === session) this.#monitor = null;
      for (const listener of this.#listeners) listener();
    });
    // The connection must not stay quiet because a setting of the database cuts idle or long work.
    await session.rows("set statement_timeout = 0; set lock_timeout = 0; set client_min_messages = 'error'", timeoutMs);
    this.#monitor = session;
    return session;
  }

  /** Runs `work` on a new connection, which is closed afterwards. `ordinary`: one that may run any SQL for long. */
  async fresh<T>(
    timeoutMs: number,
    work: (session: PgSession) => Promise<T>,
    kind: 'probe' | 'ordinary' = 'probe',
  ): Promise<T> {
    const session = await this.open(timeoutMs, kind);
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  }

  /** A new connection that the caller closes. */
  async open(timeoutMs: number, kind: 'probe' | 'ordinary' = 'probe'): Promise<PgSession> {
    const replication = kind === 'probe' ? 'database' : 'none';
    return PgSession.open({ ...this.#target, replication, applicationName: 'understudy agent' }, timeoutMs);
  }

  /** Running value of a setting as a new process sees it. */
  async freshSettings(names: readonly string[], timeoutMs: number): Promise<Readonly<Record<string, string>>> {
    const list = names.map((name) => `current_setting('${name}', true) as "${name}"`).join(', ');
    const row = await this.fresh(timeoutMs, (session) => session.row(`select ${list}`, timeoutMs));
    return Object.fromEntries(names.map((name) => [name, row[name] ?? '']));
  }

  async close(): Promise<void> {
    const monitor = this.#monitor;
    this.#monitor = null;
    await monitor?.close();
  }

  /** Cuts the kept connection, so that nothing waits for a server that is about to be killed. */
  cut(): void {
    this.#monitor?.destroy();
    this.#monitor = null;
  }
}

/** What a query that must return a value did not return. */
export function missing(what: string): EngineError {
  return new EngineError('ENGINE_INTERNAL', `The server did not say its ${what}.`, 'unknown');
}
