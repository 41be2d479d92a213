import { pause, pollUntil } from '@understudy/base';
import { type LocalCluster, statusOf } from '@understudy/local';
import type { ProgramRun } from './program.ts';

/** A program of the engine's own world that reads and writes: pgbench, sysbench. */
export interface Bench {
  readonly name: string;
  /** Makes its database and tables on the leader. @throws DrillError `SETUP_FAILED` */
  readonly load: (leader: string) => Promise<void>;
  /** Lets it work against a node, until it is stopped or a broken connection ends it. */
  readonly start: (node: string) => ProgramRun;
  /** What it knows to be true of its own tables, checked on every node, in a line. @throws Error saying what is not */
  readonly check: () => Promise<string>;
}

const retryMs = 200;

/** Keeps a bench at work on whoever leads: started again after each broken connection, as a service that reconnects does. */
export class Carried {
  readonly #bench: Bench;
  readonly #cluster: LocalCluster;
  #run: ProgramRun | null = null;
  #isStopped = false;
  #loop: Promise<void> | null = null;
  #starts = 0;
  #transactions = 0;

  constructor(bench: Bench, cluster: LocalCluster) {
    this.#bench = bench;
    this.#cluster = cluster;
  }

  start(): void {
    this.#loop ??= this.#work();
  }

  /** Waits until it has said that it made a transaction. It says so once a second, and not at all before a connection breaks. */
  async atWork(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const look = async (): Promise<true | null> =>
      this.#transactions + transactionsIn(this.#run?.text() ?? '') > 0 ? true : null;
    await pollUntil(look, { everyMs: 50, timeoutMs, signal });
  }

  /** @returns how often it was started, and about how many transactions it says that it has made. */
  async stop(): Promise<{ readonly starts: number; readonly transactions: number }> {
    this.#isStopped = true;
    this.#run?.stop();
    await this.#loop;
    return { starts: this.#starts, transactions: this.#transactions };
  }

  async #work(): Promise<void> {
    while (!this.#isStopped) {
      const leader = await this.#leader();
      if (this.#isStopped) return;
      if (leader !== null) {
        this.#run = this.#bench.start(leader);
        this.#starts += 1;
        const { text } = await this.#run.ended;
        this.#run = null;
        this.#transactions += transactionsIn(text);
      }
      await pause(retryMs);
    }
  }

  async #leader(): Promise<string | null> {
    const view = await statusOf(this.#cluster.nodes, 500);
    return view?.phase === 'open' ? view.leader : null;
  }
}

/** The sum of the rates that a program says once a second: `tps: 120.00` (sysbench), `120.0 tps` (pgbench). */
export function transactionsIn(text: string): number {
  const rates = [...text.matchAll(/\btps: ([\d.]+)|\b([\d.]+) tps(?!:)/g)].map(([, after, before]) =>
    Number(after ?? before),
  );
  return Math.round(rates.reduce((sum, rate) => sum + rate, 0));
}
