import { pause, pollUntil } from '@understudy/base';
import {
  commandOf,
  isAlive,
  type ProcessInfo,
  type ProcessName,
  processInfo,
  signalPid,
} from '@understudy/base/processes';
import { LocalError } from './errors.ts';
import { type ProcessMark, processesOf } from './proc.ts';

/**
 * Kills every process of a node at once, and those that they manage to start meanwhile.
 *
 * @returns how many were killed.
 * @throws LocalError `STOP_TIMEOUT` when one does not end.
 */
export async function killAll(mark: ProcessMark, timeoutMs = 5000): Promise<number> {
  const killed = new Set<number>();
  const done = await pollUntil(
    () => {
      const left = processesOf(mark);
      for (const { pid } of left) {
        killed.add(pid);
        signalPid(pid, 'SIGKILL');
      }
      return left.length === 0 ? true : null;
    },
    { everyMs: 10, timeoutMs },
  );
  if (done !== null) return killed.size;
  const left = processesOf(mark).map(({ pid }) => `${pid} (${commandOf(pid).slice(0, 160)})`);
  throw new LocalError('STOP_TIMEOUT', `Killed, but still there: ${left.join(', ')}.`, {
    next: 'Look for a hanging disk.',
  });
}

/**
 * Stops (SIGSTOP) every process of a list, as when a node's host freezes; repeated until none runs, because a process may have been
 * starting another.
 *
 * @param list those that are there now
 * @returns the ids, for {@link thaw}.
 */
export async function freeze(list: () => readonly ProcessInfo[], timeoutMs = 2000): Promise<readonly number[]> {
  const frozen = new Set<number>();
  await pollUntil(
    () => {
      const running = list().filter(({ state }) => state !== 'T');
      for (const { pid } of running) {
        frozen.add(pid);
        signalPid(pid, 'SIGSTOP');
      }
      return running.length === 0 ? true : null;
    },
    { everyMs: 2, timeoutMs },
  );
  return [...frozen];
}

/** Lets stopped processes go on; those that have ended meanwhile are skipped. */
export function thaw(pids: readonly number[]): void {
  for (const pid of pids) if (processInfo(pid) !== null) signalPid(pid, 'SIGCONT');
}

/** Waits until a process has ended. */
export async function waitForEnd(target: ProcessName, timeoutMs: number): Promise<'ended' | 'running'> {
  const ended = await pollUntil(() => (isAlive(target) ? null : true), {
    everyMs: 15,
    timeoutMs,
  });
  return ended === null ? 'running' : 'ended';
}

/** Asks processes to end, waits, and kills those that do not. */
export async function endGently(targets: readonly ProcessInfo[], graceMs: number): Promise<void> {
  for (const { pid } of targets) signalPid(pid, 'SIGTERM');
  const results = await Promise.all(targets.map((target) => waitForEnd(target, graceMs)));
  for (const [index, result] of results.entries()) {
    const target = targets[index];
    if (result === 'running' && target !== undefined) signalPid(target.pid, 'SIGKILL');
  }
  if (results.includes('running')) await pause(20);
}
