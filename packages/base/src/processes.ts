/** What `/proc` shows about processes (proc(5)). Every question is one read of microseconds, no promise: made to be asked often. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { codeOf } from './errors.ts';

/** A process, told apart from a later one with the same id by when it started. */
export interface ProcessName {
  readonly pid: number;
  /** Start time in clock ticks since boot, as text: it is compared, never counted with. */
  readonly startTicks: string;
}

/** A process that has not ended. */
export interface ProcessInfo extends ProcessName {
  /** The kernel's name of the program, at most 15 characters. */
  readonly program: string;
  /** One letter: R running, S sleeping, D waiting for a disk, T stopped, t traced, Z when only threads beside the first still run. */
  readonly state: string;
  readonly parent: number;
  /** Processor time used so far, in clock ticks. */
  readonly cpuTicks: number;
}

/** The process with this id; null when there is none, or only the remains of one that ended. */
export function processInfo(pid: number): ProcessInfo | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name is in parentheses and may hold spaces and parentheses itself; what counts begins after the last one.
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ', 20);
  const [state = '', parent] = fields;
  const startTicks = fields[19];
  // The first thread of a killed process may be dead while others still hold its files and its port.
  const hasEnded = (state === 'Z' || state === 'X') && Number(fields[17]) <= 1;
  if (hasEnded || startTicks === undefined) return null;
  const cpuTicks = Number(fields[11]) + Number(fields[12]);
  return { pid, startTicks, program: text.slice(text.indexOf('(') + 1, end), state, parent: Number(parent), cpuTicks };
}

/** The name of a process that has not ended; null when there is none. */
export function processName(pid: number): ProcessName | null {
  const info = processInfo(pid);
  return info === null ? null : { pid, startTicks: info.startTicks };
}

/** When the process with this id was started, in ticks since boot; null when there is none. */
export const startTicksOf = (pid: number): string | null => processInfo(pid)?.startTicks ?? null;

/** Whether that very process has not ended. */
export const isAlive = ({ pid, startTicks }: ProcessName): boolean => startTicksOf(pid) === startTicks;

/** Whether both are there and the same. */
export function isSameProcess(a: ProcessName | null, b: ProcessName | null): boolean {
  return a !== null && a.pid === b?.pid && a.startTicks === b.startTicks;
}

/** The ids of all processes of the machine that this user may see, ended ones too. */
export const allPids = (): number[] => readdirSync('/proc').filter(isNumber).map(Number);

/** Every process of the machine that has not ended. */
export function allProcesses(): ProcessInfo[] {
  return allPids().flatMap((pid) => processInfo(pid) ?? []);
}

/** The children of a process that have not ended. */
export const childrenOf = (pid: number): ProcessInfo[] => allProcesses().filter(({ parent }) => parent === pid);

/** Program and arguments; empty for a kernel thread, one that ended, and one that may not be looked at. */
export const argumentsOf = (pid: number): readonly string[] => splitNul(readOrNull(`/proc/${pid}/cmdline`, 'utf8'));

/** The command line as people read it. */
export const commandOf = (pid: number): string => argumentsOf(pid).join(' ').trim();

/** The environment that a process was started with, as `NAME=value`; empty when it may not be looked at. */
export const environmentOf = (pid: number): readonly string[] => splitNul(readOrNull(`/proc/${pid}/environ`, 'utf8'));

/** The working directory, or the program's file; null when the process has ended or may not be looked at. */
export function linkOf(pid: number, link: 'cwd' | 'exe'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/${link}`);
  } catch {
    return null;
  }
}

/** Sends a signal to exactly that process. One that has ended is what was wanted. */
export function signalProcess(target: ProcessName, name: NodeJS.Signals): void {
  if (isAlive(target)) signalPid(target.pid, name);
}

/** Sends a signal to whatever has this id now: only for one's own child that nobody has waited for, whose id is not used again. */
export function signalPid(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

/** Random name of the running boot: instants, process ids and start times compare only within one. @throws the error of the system */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

const isNumber = (name: string): boolean => /^\d+$/.test(name);

function splitNul(text: string | null): readonly string[] {
  if (text === null || text === '') return [];
  return (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}

function readOrNull(path: string, encoding: 'latin1' | 'utf8' = 'latin1'): string | null {
  try {
    return readFileSync(path, encoding);
  } catch {
    return null;
  }
}
