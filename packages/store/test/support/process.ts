/** Child processes of tests: always ended, also when the test run itself dies in an orderly way. */

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a child that is killed when this process exits. */
export function startChild(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(program, args, options);
  running.add(child);
  child.on('exit', () => running.delete(child));
  // Without a listener a missing program would end the test run; those who wait for the exit see it.
  child.on('error', () => running.delete(child));
  return child;
}

export function isRunning(child: ChildProcess | null): child is ChildProcess {
  return child !== null && child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Sends a signal and waits until the process is gone. A stopped process is continued unless it is killed. */
export async function endChild(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (!isRunning(child)) return;
  const exited = once(child, 'exit');
  if (signal !== 'SIGKILL') child.kill('SIGCONT');
  child.kill(signal);
  await exited;
}

/** Waits until `holds`, looking every few ms; throws after `deadlineMs`. */
export async function waitUntil(what: string, deadlineMs: number, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    if (await holds()) return;
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
