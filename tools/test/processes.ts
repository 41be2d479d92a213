import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** The variable by which processes that a test file started are recognised: they inherit it. */
export const markVariable = 'UNDERSTUDY_TEST_MARK';

export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/**
 * Running processes that a test file started, by its process group or by the mark in their environment.
 *
 * @param group process group of the test process.
 * @param mark the value of `markVariable` that it was given.
 */
export function processesOf(group: number, mark: string): Leftover[] {
  const found: Leftover[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const stat = readOrEmpty(`/proc/${pid}/stat`);
    const [state, , groupText] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (stat === '' || state === 'Z') continue;
    const isOurs =
      Number(groupText) === group || readOrEmpty(`/proc/${pid}/environ`).includes(`${markVariable}=${mark}\0`);
    if (!isOurs) continue;
    const command = readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim().slice(0, 120);
    found.push({ pid, command });
  }
  return found;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Waits until nothing of a test file runs any more, at most `graceMs`; then kills the rest and returns what it was. */
export async function endProcesses(group: number, mark: string, graceMs: number): Promise<Leftover[]> {
  const deadlineMs = performance.now() + graceMs;
  let rest = processesOf(group, mark);
  while (rest.length > 0 && performance.now() < deadlineMs) {
    await delay(50);
    rest = processesOf(group, mark);
  }
  const leftovers = rest;
  // A supervisor that is killed after its child may start another: repeat until there is none.
  for (let round = 0; rest.length > 0 && round < 20; round += 1) {
    for (const { pid } of rest) kill(pid);
    await delay(50);
    rest = processesOf(group, mark);
  }
  return leftovers;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}
