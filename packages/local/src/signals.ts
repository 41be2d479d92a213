import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, LocalError } from './errors.ts';
import { commandOf, type ProcessInfo, type ProcessMark, processesOf, processInfo } from './proc.ts';
import { pollUntil } from './waiting.ts';

/** Sends a signal; a process that is gone already is what was wanted. */
export function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

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
        sendSignal(pid, 'SIGKILL');
      }
      return left.length === 0 ? true : null;
    },
    { everyMs: 10, timeoutMs },
  );
  if (done !== null) return killed.size;
  const left = processesOf(mark).map(({ pid }) => `${pid} (${commandOf(pid).slice(0, 160)})`);
  throw new LocalError('STOP_TIMEOUT', `Killed, but still there: ${left.join(', ')}. Look for a hanging disk.`);
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
        sendSignal(pid, 'SIGSTOP');
      }
      return running.length === 0 ? true : null;
    },
    { everyMs: 2, timeoutMs },
  );
  return [...frozen];
}

/** Lets stopped processes go on; those that have ended meanwhile are skipped. */
export function thaw(pids: readonly number[]): void {
  for (const pid of pids) if (processInfo(pid) !== null) sendSignal(pid, 'SIGCONT');
}

/** Waits until a process has ended. */
export async function waitForEnd(target: ProcessInfo, timeoutMs: number): Promise<'ended' | 'running'> {
  const ended = await pollUntil(() => (processInfo(target.pid)?.startTicks === target.startTicks ? null : true), {
    everyMs: 15,
    timeoutMs,
  });
  return ended === null ? 'running' : 'ended';
}

/** Asks processes to end, waits, and kills those that do not. */
export async function endGently(targets: readonly ProcessInfo[], graceMs: number): Promise<void> {
  for (const { pid } of targets) sendSignal(pid, 'SIGTERM');
  const results = await Promise.all(targets.map((target) => waitForEnd(target, graceMs)));
  for (const [index, result] of results.entries()) {
    const target = targets[index];
    if (result === 'running' && target !== undefined) sendSignal(target.pid, 'SIGKILL');
  }
  if (results.includes('running')) await delay(20);
}
