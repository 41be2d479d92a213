/** Hostile connections to an agent, from a process of their own: the one of the drill's fault `flood`. */

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../drill/src/faults/flood-main.ts', import.meta.url));

export class Flood {
  /** As many as its own side takes for open. */
  open = 0;
  readonly #child: ChildProcess;

  constructor(ports: readonly number[], speaks: 'http' | 'https', each: number, againMs = 500) {
    const targets = ports.map((port) => ({ host: '127.0.0.1', port, speaks }));
    const plan = JSON.stringify({ targets, each, againMs });
    this.#child = spawn(process.execPath, [PROGRAM, plan], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', (open) => {
      this.open = Number(open);
    });
  }

  async end(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
