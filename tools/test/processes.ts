import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** The variable by which processes that a test file started are recognised: they inherit it. */
export const markVariable = 'UNDERSTUDY_TEST_MARK';

/** By what the processes of a test file are recognised; each can leave one of them behind, hardly all. */
export interface Traces {
  /** Process group of the test process. */
  readonly group: number;
  /** The value of `markVariable` that it was given. */
  readonly mark: string;
  /** Its own folder: servers that overwrite their environment work in it. */
  readonly folder: string;
}

export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/** Running processes that a test file started. */
export function processesOf(traces: Traces): Leftover[] {
  const found: Leftover[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || !isOf(traces, pid)) continue;
    const command = readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim().slice(0, 120);
    found.push({ pid, command });
  }
  return found;
}

function isOf({ group, mark, folder }: Traces, pid: number): boolean {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  const [state, , groupText] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (stat === '' || state === 'Z') return false;
  if (Number(groupText) === group) return true;
  if (readOrEmpty(`/proc/${pid}/environ`).includes(`${markVariable}=${mark}\0`)) return true;
  return workingFolder(pid).startsWith(`${folder}/`);
}

function workingFolder(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Waits until nothing of a test file runs any more, at most `graceMs`; then kills the rest and returns what it was. */
export async function endProcesses(traces: Traces, graceMs: number): Promise<Leftover[]> {
  const deadlineMs = performance.now() + graceMs;
  let rest = processesOf(traces);
  while (rest.length > 0 && performance.now() < deadlineMs) {
    await delay(50);
    rest = processesOf(traces);
  }
  const leftovers = rest;
  // A supervisor that is killed after its child may start another: repeat until there is none.
  for (let round = 0; rest.length > 0 && round < 20; round += 1) {
    for (const { pid } of rest) kill(pid);
    await delay(50);
    rest = processesOf(traces);
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
