import { reasonOf } from '@understudy/base';
import type { ComparedFault } from './faults.ts';
import { failed, type Measured } from './measured.ts';

/** One of the two that are compared: how its cluster is made, measured and ended. */
export interface Side<Cluster> {
  readonly start: () => Promise<Cluster>;
  readonly run: (cluster: Cluster, fault: ComparedFault, say: (text: string) => void) => Promise<Measured>;
  readonly end: (cluster: Cluster, folder: 'keep' | 'remove') => Promise<void>;
}

/** Keeps the cluster of one side from one run to the next. One in which something went wrong is ended, and its folder kept. */
export class Contender<Cluster> {
  readonly #side: Side<Cluster>;
  readonly #signal: AbortSignal;
  #cluster: Cluster | null = null;

  constructor(side: Side<Cluster>, signal: AbortSignal) {
    this.#side = side;
    this.#signal = signal;
  }

  /** Starts the cluster when there is none. */
  async ready(): Promise<Cluster> {
    this.#cluster ??= await this.#side.start();
    return this.#cluster;
  }

  async measure(fault: ComparedFault, say: (text: string) => void): Promise<Measured> {
    const cluster = await this.ready();
    const result = await this.#side.run(cluster, fault, say).catch((error: unknown) => {
      if (this.#signal.aborted) throw error;
      return failed(reasonOf(error));
    });
    if (result.problems.length > 0) await this.#end('keep');
    return result;
  }

  async end(): Promise<void> {
    await this.#end('remove');
  }

  async #end(folder: 'keep' | 'remove'): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = null;
    if (cluster !== null) await this.#side.end(cluster, folder);
  }
}
