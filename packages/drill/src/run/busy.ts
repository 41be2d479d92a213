import { type ChildProcess, spawn } from 'node:child_process';

/** Ends with the process that started it, however that ended. */
const script = 'const p = process.ppid; while (process.ppid === p) for (let i = 0; i < 1e6; i += 1) Math.sqrt(i);';

/** Programs that keep one core each busy, at the priority of everybody else. */
export class Busy {
  readonly #children: readonly ChildProcess[];

  constructor(count: number) {
    this.#children = Array.from({ length: count }, () => {
      const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
      child.once('error', () => undefined);
      return child;
    });
  }

  end(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}
