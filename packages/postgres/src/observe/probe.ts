import { connect } from 'node:net';
import { join } from 'node:path';
import { monotonicMs, pollUntil, reasonOf } from '@understudy/base';
import { childrenOf, type Probed, type ProbeSubject, type RunningServer } from '@understudy/engine/host';
import type { Instance } from '../instance.ts';
import { type PgSession, sqlStateOf } from '../sql/session.ts';
import { writeAndFlush } from '../sql/write.ts';

const timeoutMs = 1200;
const writeEveryMs = 10_000;
const forkTimeoutMs = 600;
const hangingLogins =
  'New connections get no answer, while the old ones go on: probably somebody has locked a table of the catalog, or very many connect at once.';

type Parts = Pick<Instance, 'sql' | 'postmaster' | 'facts' | 'expected' | 'options'>;

/** How PostgreSQL is probed (P17): its kept connections go on answering while its first process hangs. */
export class PostgresProbe implements ProbeSubject {
  readonly #instance: Parts;
  /** Newest end of the log on disk, and when it was last proven that the disk takes writes. */
  #write: { readonly lsn: string; readonly provenMs: number } | null = null;

  constructor(instance: Parts) {
    this.#instance = instance;
  }

  get server(): Parts['postmaster'] {
    return this.#instance.postmaster;
  }

  get facts(): Parts['facts'] {
    return this.#instance.facts;
  }

  forget(): void {
    this.#write = null;
  }

  async look(running: RunningServer): Promise<Probed> {
    try {
      await this.#instance.sql.fresh(timeoutMs, (session) => this.#check(session));
      return { result: 'well', trouble: null };
    } catch (error) {
      const state = sqlStateOf(error);
      const answered = state !== undefined && !state.startsWith('57P01') && !state.startsWith('57P02');
      if (answered) {
        return { result: 'well', trouble: `A new connection is refused, or cannot ask: ${reasonOf(error)}` };
      }
      return (await this.#livesOtherwise(running))
        ? { result: 'waiting', trouble: hangingLogins }
        : { result: 'failing', trouble: null };
    }
  }

  /**
   * Whether a server whose new connections hang is well all the same: its first process makes new ones, the kept connection answers, and the
   * log reaches the disk. That is so when somebody holds a lock that a login needs.
   */
  async #livesOtherwise({ pid }: RunningServer): Promise<boolean> {
    const { sql, options } = this.#instance;
    const { kept } = sql;
    if (kept === null || !(await forks(pid, join(options.runDir, `.s.PGSQL.${options.listen.port}`)))) return false;
    try {
      await this.#check(kept, 'now');
      return true;
    } catch {
      return false;
    }
  }

  async #check(session: PgSession, proof: 'now' | 'now and then' = 'now and then'): Promise<void> {
    const row = await session.row(
      `select case when not pg_is_in_recovery() then pg_current_wal_flush_lsn() end as flushed,
              case when not pg_is_in_recovery() then pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn() end as unflushed`,
      timeoutMs,
    );
    const flushed = row.flushed ?? null;
    if (flushed === null) {
      this.#write = null;
      return;
    }
    const nowMs = monotonicMs();
    if (this.#write?.lsn !== flushed) {
      this.#write = { lsn: flushed, provenMs: nowMs };
    } else if (proof === 'now' || row.unflushed === 't' || nowMs - this.#write.provenMs >= writeEveryMs) {
      // Idle, or stuck? What was written since the last look and is not on the disk yet makes it urgent. A message in the log, which no table knows of, must reach the disk within this query's deadline.
      await writeAndFlush(session, this.#instance.expected.major, 'probe', timeoutMs);
      this.#write = { lsn: flushed, provenMs: monotonicMs() };
    }
  }
}

/** Whether a server's first process still takes connections: it makes a child for each, before that one asks for anything. */
async function forks(pid: number, socketPath: string): Promise<boolean> {
  const before = new Set((await childrenOf(pid)).map((child) => child.pid));
  const socket = connect(socketPath);
  socket.on('error', () => undefined);
  try {
    const born = await pollUntil(
      async () => ((await childrenOf(pid)).some((child) => !before.has(child.pid)) ? true : null),
      { everyMs: 20, timeoutMs: forkTimeoutMs },
    );
    return born !== null;
  } finally {
    socket.destroy();
  }
}
