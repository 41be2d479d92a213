/** What /proc says about processes. No imports beyond node:fs: the guard loads this too. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process, told apart from a later one with the same number by when it started. */
export interface ProcessName {
  readonly pid: number;
  /** Start time in clock ticks since boot, field 22 of /proc/<pid>/stat. */
  readonly startTicks: string;
}

interface Stat {
  /** One letter: R running, S sleeping, D waiting for a disk, T stopped, t traced, Z dead. */
  readonly state: string;
  readonly parent: number;
  readonly startTicks: string;
}

function readStat(pid: number): Stat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The name in parentheses may hold spaces and parentheses itself; what counts begins after the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = '', parent = '0'] = fields;
  return { state, parent: Number(parent), startTicks: fields[19] ?? '' };
}

/** The name of a running process; null when there is none, or only its remains. */
export function processName(pid: number): ProcessName | null {
  const stat = readStat(pid);
  return stat === null || stat.state === 'Z' || stat.state === 'X' ? null : { pid, startTicks: stat.startTicks };
}

/** Whether that very process still runs. */
export function isAlive(process: ProcessName): boolean {
  return processName(process.pid)?.startTicks === process.startTicks;
}

/** Whether both are there and the same. */
export function isSameProcess(a: ProcessName | null, b: ProcessName | null): boolean {
  return a !== null && a.pid === b?.pid && a.startTicks === b.startTicks;
}

/** The scheduler's letter for a process; null when it is gone. */
export function stateOf(process: ProcessName): string | null {
  const stat = readStat(process.pid);
  return stat === null || stat.startTicks !== process.startTicks || stat.state === 'Z' ? null : stat.state;
}

/** The children of a process. */
export function childrenOf(pid: number): readonly ProcessName[] {
  const children: ProcessName[] = [];
  for (const entry of readdirSync('/proc')) {
    const child = Number(entry);
    if (!Number.isInteger(child)) continue;
    const stat = readStat(child);
    if (stat?.parent === pid && stat.state !== 'Z') children.push({ pid: child, startTicks: stat.startTicks });
  }
  return children;
}

/** How a process was started, for starting it again. */
export interface StartedAs {
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Null when the process is gone. */
export function startedAs(pid: number): StartedAs | null {
  try {
    const [, ...args] = splitNul(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    const env: Record<string, string> = {};
    for (const pair of splitNul(readFileSync(`/proc/${pid}/environ`, 'utf8'))) {
      const at = pair.indexOf('=');
      if (at > 0) env[pair.slice(0, at)] = pair.slice(at + 1);
    }
    return { program: readlinkSync(`/proc/${pid}/exe`), args, folder: readlinkSync(`/proc/${pid}/cwd`), env };
  } catch {
    return null;
  }
}

const splitNul = (text: string): string[] => (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');

/** Sends a signal to exactly that process; a process that is gone is no error. */
export function signal(target: ProcessName, name: NodeJS.Signals): void {
  if (!isAlive(target)) return;
  try {
    process.kill(target.pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/**
 * Kills a server with all its children at once, so that none of them can acknowledge anything more.
 * The parent is stopped first: a stopped parent makes no new children while they are counted.
 * @returns everything that was killed
 */
export function killTree(server: ProcessName): readonly ProcessName[] {
  if (!isAlive(server)) return [];
  signal(server, 'SIGSTOP');
  const all = [server, ...childrenOf(server.pid)];
  for (const each of all) signal(each, 'SIGKILL');
  return all;
}
