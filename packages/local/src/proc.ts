import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process as `/proc` shows it. Start time and id together name a process for ever: ids are used again. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  /** One letter of proc(5): R, S, D, T (stopped), … Zombies are never listed. */
  readonly state: string;
  /** Clock ticks since the machine started. */
  readonly startTicks: number;
}

/** The process with this id, or null when there is none (or only its zombie). */
export function processInfo(pid: number): ProcessInfo | null {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  // The name is in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, parent] = fields;
  const startTicks = Number(fields[19]);
  if (stat === '' || state === undefined || state === 'Z' || state === 'X' || !Number.isFinite(startTicks)) return null;
  return { pid, parent: Number(parent), state, startTicks };
}

/** Whether the process that had this id and start time still runs. */
export function isSameProcess(pid: number, startTicks: number): boolean {
  return processInfo(pid)?.startTicks === startTicks;
}

/** Every process of the machine that this user may see. */
export function allProcesses(): ProcessInfo[] {
  return readdirSync('/proc').flatMap((entry) => {
    const info = /^\d+$/.test(entry) ? processInfo(Number(entry)) : null;
    return info === null ? [] : [info];
  });
}

/** Command line of a process. */
export function commandOf(pid: number): string {
  return readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

/** What tells a node's (or a cluster's) processes from others. */
export interface ProcessMark {
  /** Environment variable that agents and their children carry, as `NAME=value`. */
  readonly variable: string;
  /** Database servers drop their environment but work in, or name, a folder below this one. */
  readonly folder: string;
}

/** Kernel's names of programs that a node's agent runs without the mark. Anything else in the folder (a shell) is none of ours. */
const serverPrograms = new Set([
  'postgres',
  'initdb',
  'pg_rewind',
  'pg_basebackup',
  'pg_ctl',
  'pg_controldata',
  'etcd',
  'mysqld',
  'mariadbd',
  'mariadb-backup',
  'mbstream',
  // A program that was fetched with its own C library: the kernel names it after that library's loader.
  'ld-linux-x86-64',
]);

/**
 * Every process that belongs to a node (or a cluster): those that carry its mark, database programs that work below its folder, and
 * what descends from such a one. This process itself is never among them.
 */
export function processesOf(mark: ProcessMark): ProcessInfo[] {
  const all = allProcesses();
  const chosen = new Set<number>();
  for (const { pid } of all) if (pid !== process.pid && isMarked(pid, mark)) chosen.add(pid);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent } of all) {
      if (chosen.has(parent) && !chosen.has(pid) && pid !== process.pid) {
        chosen.add(pid);
        grown = true;
      }
    }
  }
  return all.filter(({ pid }) => chosen.has(pid));
}

function isMarked(pid: number, { variable, folder }: ProcessMark): boolean {
  if (`\0${readOrEmpty(`/proc/${pid}/environ`)}`.includes(`\0${variable}\0`)) return true;
  if (!serverPrograms.has(readOrEmpty(`/proc/${pid}/comm`).trim())) return false;
  const workingFolder = linkOrEmpty(`/proc/${pid}/cwd`);
  return workingFolder.startsWith(`${folder}/`) || readOrEmpty(`/proc/${pid}/cmdline`).includes(`${folder}/`);
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function linkOrEmpty(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
