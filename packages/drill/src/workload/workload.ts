import { monotonicMs } from '@understudy/base';
import type { Database } from '../database/database.ts';
import type { Target } from '../database/session.ts';
import type { Op } from './op.ts';
import { Locator, type Sample, Watch } from './watch.ts';
import { Writer } from './writer.ts';

export interface WorkloadOptions {
  readonly database: Database;
  /** The nodes as applications reach them. */
  readonly network: readonly Target[];
  /** The nodes over their Unix sockets. */
  readonly local: readonly Target[];
  readonly writers: number;
  readonly everyMs: number;
  readonly deadlineMs: number;
  readonly nextId: () => number;
}

const locateEveryMs = 15;
const probeEveryMs = 50;
const localWriterEveryMs = 100;
const localDeadlineMs = 15_000;
const locateTimeoutMs = 1000;

/** Everything that was done and seen during a run. */
export interface History {
  readonly ops: readonly Op[];
  /** Of the probes over the Unix sockets. */
  readonly samples: readonly Sample[];
  /** When the clients were told to stop. */
  readonly endMs: number;
}

/** The drill's workload (`docs/drill.md`): many clients insert unique ids; probes ask every node whether it takes writes. */
export class Workload {
  readonly locator = new Locator();
  readonly #ops: Op[] = [];
  readonly #samples: Sample[] = [];
  readonly #watches: readonly Watch[];
  readonly #writers: readonly Writer[];

  constructor(options: WorkloadOptions) {
    const { database, network, local } = options;
    const targets = new Map(network.map((target) => [target.node, target]));
    this.#watches = [
      ...network.map((target) => new Watch(database, target, locateEveryMs, (sample) => this.locator.note(sample))),
      ...local.map((target) => new Watch(database, target, probeEveryMs, (sample) => this.#samples.push(sample))),
    ];
    const onOp = (op: Op): void => {
      this.#ops.push(op);
    };
    const remote = Array.from({ length: options.writers }, (_, writer) => {
      const locate = async (): Promise<Target | null> => {
        const node = await this.locator.waitForPrimary(locateTimeoutMs);
        return node === null ? null : (targets.get(node) ?? null);
      };
      const { everyMs, deadlineMs, nextId } = options;
      const primary = (): string | null => this.locator.primary();
      return new Writer({ database, writer, kind: 'network', everyMs, deadlineMs, locate, primary, nextId, onOp });
    });
    const resident = local.map((target, index) => {
      const locate = async (): Promise<Target | null> => (this.#takesWrites(target.node) ? target : null);
      const writer = options.writers + index;
      const { nextId } = options;
      return new Writer({
        database,
        writer,
        kind: 'local',
        everyMs: localWriterEveryMs,
        deadlineMs: localDeadlineMs,
        locate,
        primary: () => target.node,
        nextId,
        onOp,
      });
    });
    this.#writers = [...remote, ...resident];
  }

  start(): void {
    for (const watch of this.#watches) watch.start();
    for (const writer of this.#writers) writer.start();
  }

  async stop(): Promise<History> {
    const endMs = monotonicMs();
    await Promise.all(this.#writers.map((writer) => writer.stop()));
    await Promise.all(this.#watches.map((watch) => watch.stop()));
    return { ops: this.#ops, samples: this.#samples, endMs };
  }

  /** Number of inserts acknowledged to clients on the network since an instant. */
  acknowledgedSince(sinceMs: number): number {
    let count = 0;
    for (let index = this.#ops.length - 1; index >= 0; index -= 1) {
      const op = this.#ops[index];
      if (op === undefined || op.completeMs < sinceMs) break;
      if (op.outcome === 'ok' && op.kind === 'network') count += 1;
    }
    return count;
  }

  #takesWrites(node: string): boolean {
    for (let index = this.#samples.length - 1; index >= 0; index -= 1) {
      const sample = this.#samples[index];
      if (sample !== undefined && sample.node === node) {
        return sample.state === 'writable' && monotonicMs() - sample.receivedMs < 1000;
      }
    }
    return false;
  }
}
