import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * What signals mean to `up`: the first one stops everything in order, the second kills everything at once; neither leaves a process
 * behind.
 */
export class UpSignals {
  readonly #first = new AbortController();
  readonly #context: Context;
  readonly #handler = (): void => this.#received();
  #kill: () => Promise<void> = async () => undefined;
  #count = 0;

  constructor(context: Context) {
    this.#context = context;
    for (const name of names) process.on(name, this.#handler);
  }

  /** Aborted by the first signal. */
  get first(): AbortSignal {
    return this.#first.signal;
  }

  /** Being told to end is how `up` ends: in order is well done; cut short is not. */
  get exitCode(): ExitCode {
    return this.#count > 1 ? EXIT.interrupted : EXIT.done;
  }

  killWith(kill: () => Promise<void>): void {
    this.#kill = kill;
  }

  close(): void {
    for (const name of names) process.off(name, this.#handler);
  }

  #received(): void {
    this.#count += 1;
    if (this.#count === 1) this.#first.abort();
    if (this.#count !== 2) return;
    this.#context.io.err.write('Stopping at once.\n');
    this.#kill().then(
      () => process.exit(EXIT.interrupted),
      () => process.exit(EXIT.failed),
    );
  }
}
