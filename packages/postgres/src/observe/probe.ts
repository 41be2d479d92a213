import { monotonicMs } from '@understudy/engine/host';
import type { Instance } from '../instance.ts';
import { type PgSession, sqlStateOf } from '../sql/session.ts';
import { writeAndFlush } from '../sql/write.ts';

const everyMs = 2000;
const retryMs = 400;
const timeoutMs = 1200;
const writeEveryMs = 10_000;

/** Answers of a server that is alive but takes nobody in: it forked, read the request and said no. */
const aliveRefusals = new Set(['53300', '57P03']);

/**
 * The deep look (`postgresql-ha.md` P17): a connection that is kept goes on answering while the server's first process
 * hangs, so every two seconds a new one is made, which also proves that the log of a primary still reaches the disk.
 */
export class Probe {
  readonly #instance: Pick<Instance, 'sql' | 'postmaster' | 'facts' | 'expected'>;
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<void> | null = null;
  #failing: { readonly sinceMs: number; readonly times: number } | null = null;
  /** Newest end of the log on disk, and when it was last proven that the disk takes writes. */
  #write: { readonly lsn: string; readonly provenMs: number } | null = null;

  constructor(instance: Pick<Instance, 'sql' | 'postmaster' | 'facts' | 'expected'>) {
    this.#instance = instance;
  }

  /** For how long every new connection has failed; 0 while all is well, and after a single failure, which may be our own pause. */
  failingForMs(): number {
    return this.#failing === null || this.#failing.times < 2 ? 0 : monotonicMs() - this.#failing.sinceMs;
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
  }

  #schedule(afterMs: number): void {
    this.#timer = setTimeout(() => {
      this.#work = this.#look().then((result) => {
        this.#work = null;
        if (this.#timer !== null) this.#schedule(result === 'well' ? everyMs : retryMs);
      });
    }, afterMs);
    this.#timer.unref();
  }

  async #look(): Promise<'well' | 'failing'> {
    const running = this.#instance.postmaster.running;
    // A server that has not answered yet is starting; one that is gone is seen by its process.
    if (running === null || this.#instance.facts.of(running.pid).answered === 'never') {
      this.reset();
      return 'well';
    }
    const startMs = monotonicMs();
    try {
      await this.#instance.sql.fresh(timeoutMs, (session) => this.#check(session));
    } catch (error) {
      if (!aliveRefusals.has(sqlStateOf(error) ?? '')) {
        this.#failing = { sinceMs: this.#failing?.sinceMs ?? startMs, times: (this.#failing?.times ?? 0) + 1 };
        return 'failing';
      }
    }
    this.#failing = null;
    return 'well';
  }

  async #check(session: PgSession): Promise<void> {
    const row = await session.row(
      'select pg_is_in_recovery() as recovery, case when not pg_is_in_recovery() then pg_current_wal_flush_lsn() end as flushed',
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
    } else if (nowMs - this.#write.provenMs >= writeEveryMs) {
      // Idle, or stuck? A message in the log, which no table knows of, must reach the disk within this query's deadline.
      await writeAndFlush(session, this.#instance.expected.major, 'probe', timeoutMs);
      this.#write = { lsn: flushed, provenMs: monotonicMs() };
    }
  }
}
