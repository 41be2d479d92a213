import { monotonicMs } from '@understudy/base';
import type { RunningServer, ServerProcess } from '../process/server-process.ts';

/**
 * What a new connection met. `failing`: no answer, and nothing else shows that the server is well. `waiting`: no answer, but the server is well
 * otherwise; each look leaves one more connection that waits, so there must not be many.
 */
export interface Probed {
  readonly result: 'well' | 'failing' | 'waiting';
  /** What is wrong all the same, as a sentence for people. */
  readonly trouble: string | null;
}

/** What is probed: an engine says how. */
export interface ProbeSubject {
  readonly server: Pick<ServerProcess, 'running'>;
  readonly facts: { of(pid: number): { readonly answered: 'never' | 'once'; readonly life: 'serving' | 'ending' } };
  /** Makes a new connection, and has it prove that the log of a primary still reaches the disk. Never rejects. */
  look(running: RunningServer): Promise<Probed>;
  /** Forgets what was seen of a server that is gone. */
  forget(): void;
}

const defaultPausesMs = { well: 2000, failing: 400, waiting: 10_000 };

/**
 * The deep look (P17): a connection that is kept goes on answering while the server takes no new ones, or cannot write any more. So every
 * two seconds a new one is made.
 */
export class Probe {
  readonly #subject: ProbeSubject;
  readonly #pausesMs: Readonly<Record<Probed['result'], number>>;
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<void> | null = null;
  #failing: { readonly sinceMs: number; readonly times: number } | null = null;
  #trouble: string | null = null;

  constructor(subject: ProbeSubject, pausesMs: Readonly<Record<Probed['result'], number>> = defaultPausesMs) {
    this.#subject = subject;
    this.#pausesMs = pausesMs;
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
    this.#schedule(this.#pausesMs.well);
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#work;
  }

  /** Forgets failures of a server that is gone. */
  reset(): void {
    this.#failing = null;
    this.#trouble = null;
    this.#subject.forget();
  }

  #schedule(afterMs: number): void {
    this.#timer = setTimeout(() => {
      this.#work = this.look().then((result) => {
        this.#work = null;
        if (this.#timer !== null) this.#schedule(this.#pausesMs[result]);
      });
    }, afterMs);
    this.#timer.unref();
  }

  /** One look, as the timer begins it. */
  async look(): Promise<Probed['result']> {
    const { server, facts } = this.#subject;
    const { running } = server;
    const seen = running === null ? null : facts.of(running.pid);
    // A server that has not answered yet is starting, one that is stopping takes nobody in, and one that is gone is seen by its process.
    if (running === null || seen?.answered === 'never' || seen?.life === 'ending') {
      this.reset();
      return 'well';
    }
    const startMs = monotonicMs();
    const { result, trouble } = await this.#subject.look(running);
    if (result === 'failing') {
      this.#failing = { sinceMs: this.#failing?.sinceMs ?? startMs, times: (this.#failing?.times ?? 0) + 1 };
      return result;
    }
    this.#failing = null;
    this.#trouble = trouble;
    return result;
  }
}
