import { monotonicMs } from '@understudy/engine/host';
import { serverErrorOf } from '../errors.ts';
import type { Instance } from '../instance.ts';
import type { Session } from '../sql/session.ts';

const everyMs = 2000;
const retryMs = 400;
const timeoutMs = 1200;

const CANNOT_MAKE_THREAD = 1135;

type Parts = Pick<Instance, 'sql' | 'process' | 'facts'>;

/**
 * The deep look: a connection that is kept goes on answering while the server takes no new ones, or cannot write any more. So every two
 * seconds a new one is made, which also proves that the log of a leader still reaches the disk. Where nothing was written since, that costs nothing.
 */
export class Probe {
  readonly #instance: Parts;
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<void> | null = null;
  #failing: { readonly sinceMs: number; readonly times: number } | null = null;

  constructor(instance: Parts) {
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
    const { process: server, facts, sql } = this.#instance;
    const running = server.running;
    // A server that has not answered yet is starting, one that is stopping takes nobody in, and one that is gone is seen by its process.
    if (running === null || facts.of(running.pid).answered === 'never' || facts.life === 'ending') {
      this.reset();
      return 'well';
    }
    const startMs = monotonicMs();
    try {
      await sql.fresh(timeoutMs, (session) => this.#check(session, facts.role));
    } catch (error) {
      const number = serverErrorOf(error);
      // A server that answers with a refusal (too many connections) is alive; one that can make no thread serves nobody new.
      if (number === undefined || number === CANNOT_MAKE_THREAD) {
        this.#failing = { sinceMs: this.#failing?.sinceMs ?? startMs, times: (this.#failing?.times ?? 0) + 1 };
        return 'failing';
      }
    }
    this.#failing = null;
    return 'well';
  }

  async #check(session: Session, role: string): Promise<void> {
    if (role === 'primary') await session.query('flush no_write_to_binlog engine logs', [], timeoutMs);
  }
}
