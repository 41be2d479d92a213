/** One worker as the supervisor sees it: a process that is started again when it ends. */

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { WorkerConfig } from '../config/config.ts';
import type { ClusterView } from '../topology/view.ts';
import type { FromWorker, ToWorker } from './messages.ts';

export interface WorkerOptions {
  readonly config: WorkerConfig;
  readonly view: () => ClusterView;
  readonly onMessage: (from: WorkerProcess, message: FromWorker) => void;
  readonly onEnd: (from: WorkerProcess, how: string) => void;
}

// The same extension as this file: sources in a checkout, compiled files in a package.
const program = fileURLToPath(new URL(`../worker/main${import.meta.url.slice(-3)}`, import.meta.url));
const STOP_MS = 3_000;

export class WorkerProcess {
  readonly #options: WorkerOptions;
  readonly #child: ChildProcess;
  /** How many clients it has, by its own word or as many as were sent since. */
  clients = 0;
  isReady = false;
  #isStopping = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#child = fork(program, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] });
    this.#child.on('message', (message: FromWorker) => this.#heard(message));
    this.#child.on('error', () => undefined);
    this.#child.on('exit', (code, signal) => {
      this.isReady = false;
      if (!this.#isStopping) options.onEnd(this, signal ?? `exit code ${code}`);
    });
    this.send({ kind: 'start', config: options.config, view: options.view() });
  }

  get index(): number {
    return this.#options.config.index;
  }

  send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Hands a connection over; `done` is called when it is the worker's, or lost. */
  give(message: ToWorker, handle: Parameters<ChildProcess['send']>[1], done: () => void): void {
    this.clients++;
    if (!this.#child.connected) {
      done();
      return;
    }
    this.#child.send(message, handle, () => done());
  }

  #heard(message: FromWorker): void {
    if (message.kind === 'ready') this.isReady = true;
    if (message.kind === 'load') this.clients = message.clients;
    this.#options.onMessage(this, message);
  }

  /** Ends it; it is gone when this resolves. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise<void>((done) => this.#child.once('exit', () => done()));
    this.send({ kind: 'stop' });
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(deadline);
  }
}
