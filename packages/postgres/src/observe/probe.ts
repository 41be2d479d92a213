import { connect } from 'node:net';
import { join } from 'node:path';
import type { RunningServer } from '@understudy/engine/host';
import { childrenOf, monotonicMs, pollUntil } from '@understudy/engine/host';
import { reasonOf } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { type PgSession, sqlStateOf } from '../sql/session.ts';
import { writeAndFlush } from '../sql/write.ts';

const everyMs = 2000;
const retryMs = 400;
const timeoutMs = 1200;
const writeEveryMs = 10_000;
/** While logins hang in a server that is well otherwise: each look leaves one more that waits, so there must not be many. */
const waitingEveryMs = 10_000;
const forkTimeoutMs = 600;

/**
 * The deep look (P17): a connection that is kept goes on answering while the server's first process
 * hangs, so every two seconds a new one is made, which also proves that the log of a primary still reaches the disk.
 */
export class Probe {
  readonly #instance: Pick<Instance, 'sql' | 'postmaster' | 'facts' | 'expected' | 'options'>;
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<void> | null = null;
  #failing: { readonly sinceMs: number; readonly times: number } | null = null;
  #trouble: string | null = null;
  /** Newest end of the log on disk, and when it was last proven that the disk takes writes. */
  #write: { readonly lsn: string; readonly provenMs: number } | null = null;

  constructor(instance: Pick<Instance, 'sql' | 'postmaster' | 'facts' | 'expected' | 'options'>) {
    this.#instance = instance;
  }

  /** For how long every new connection has failed; 0 while all is well, and after a single failure, which may be our own pause. */
  failingForMs(): number {
    return this.#failing === null || this.#failing.times < 2 ? 0 : monotonicMs() - this.#failing.sinceMs;
  }

  /** What new connections meet in a server that lives, as a sentence; null when they are let in. */
  get trouble(): string | null {
    return this.#trouble;
  }

  start(): void {
    this.#schedule(everyMs);
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#work;
  }

  /** Forgets failures of a server that is gone. */
  reset(): void {
    this.#failing = null;
    this.#write = null;
    this.#trouble = null;
  }

  #schedule(afterMs: number): void {
    this.#timer = setTimeout(() => {
      this.#work = this.#look().then((result) => {
        this.#work = null;
        const pauses = { well: everyMs, failing: retryMs, waiting: waitingEveryMs };
        if (this.#timer !== null) this.#schedule(pauses[result]);
      });
    }, afterMs);
    this.#timer.unref();
  }

  async #look(): Promise<'well' | 'failing' | 'waiting'> {
    const running = this.#instance.postmaster.running;
    const facts = running === null ? null : this.#instance.facts.of(running.pid);
    // A server that has not answered yet is starting, one that is stopping takes nobody in, and one that is gone is seen by its process.
    if (running === null || facts?.answered === 'never' || facts?.life === 'ending') {
      this.reset();
      return 'well';
    }
    const startMs = monotonicMs();
    try {
      await this.#instance.sql.fresh(timeoutMs, (session) => this.#check(session));
      this.#trouble = null;
    } catch (error) {
      const state = sqlStateOf(error);
      const answered = state !== undefined && !state.startsWith('57P01') && !state.startsWith('57P02');
      if (!answered && !(await this.#livesOtherwise(running))) {
        this.#failing = { sinceMs: this.#failing?.sinceMs ?? startMs, times: (this.#failing?.times ?? 0) + 1 };
        return 'failing';
      }
      this.#failing = null;
      this.#trouble = answered
        ? `A new connection is refused, or cannot ask: ${reasonOf(error)}`
        : 'New connections get no answer, while the old ones go on: probably somebody has locked a table of the catalog, or very many connect at once.';
      return answered ? 'well' : 'waiting';
    }
    this.#failing = null;
    return 'well';
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
