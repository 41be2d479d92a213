import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { realFolder } from '@understudy/engine/host';

/** A process as `/proc` shows it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly title: string;
}

/** Whether a process with this id exists. A zombie (dead, not yet reaped) does not count. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await statOf(pid)) !== null;
}

async function statOf(pid: number): Promise<{ readonly parent: number; readonly name: string } | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The name is in parentheses and may itself hold spaces and parentheses.
    const end = text.lastIndexOf(')');
    const [state, parent] = text.slice(end + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    return { parent: Number(parent), name: text.slice(text.indexOf('(') + 1, end) };
  } catch {
    return null;
  }
}

/** When a process was started, in ticks since boot: with its id it names one process for ever. Null when there is none. */
export async function startTicks(pid: number): Promise<string | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** Whether the process that was started at those ticks is no more. Made to be asked often: one read of microseconds, no promise. */
export function hasEnded(pid: number, ticks: string | null): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ', 20);
    return fields[0] === 'Z' || fields[0] === 'X' || (fields[19] ?? null) !== ticks;
  } catch {
    return true;
  }
}

async function titleOf(pid: number): Promise<string> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'latin1')).replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

async function allPids(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** So many readings of a list that changes all the time; then every process is looked at. */
const childReadingsMax = 20;

/**
 * The kernel's own list of children, where it offers one. While a child that was just read ends, the kernel may leave out the next one
 * (proc(5)); the one that ended is missing from the following reading. So two equal readings are complete. Null: there are none.
 */
async function listedChildren(parent: number): Promise<readonly number[] | null> {
  let before: string | null = null;
  for (let reading = 0; reading < childReadingsMax; reading++) {
    const text = await readFile(`/proc/${parent}/task/${parent}/children`, 'latin1').catch(() => null);
    if (text === null) return null;
    if (text === before) return text.split(' ').filter(Boolean).map(Number);
    before = text;
  }
  return null;
}

async function scannedChildren(parent: number): Promise<readonly number[]> {
  const all = await Promise.all((await allPids()).map(async (pid) => ({ pid, stat: await statOf(pid) })));
  return all.filter(({ stat }) => stat?.parent === parent).map(({ pid }) => pid);
}

/** Children of a process with their titles. */
export async function childrenOf(parent: number): Promise<readonly ProcessInfo[]> {
  const pids = (await listedChildren(parent)) ?? (await scannedChildren(parent));
  return Promise.all(pids.map(async (pid) => ({ pid, title: await titleOf(pid) })));
}

/** Whether this process is a PostgreSQL server process of that data directory: they all keep it as their working directory. */
export async function worksIn(pid: number, dataDir: string): Promise<boolean> {
  const stat = await statOf(pid);
  if (stat?.name !== 'postgres') return false;
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === dataDir;
  } catch {
    return false;
  }
}

/** Every server process of a data directory, whoever started it and however orphaned it is. */
export async function serverProcesses(dataDir: string): Promise<readonly number[]> {
  const real = await realFolder(dataDir).catch(() => null);
  if (real === null) return [];
  const pids = await allPids();
  const mine = await Promise.all(pids.map((pid) => worksIn(pid, real)));
  return pids.filter((_, index) => mine[index] === true);
}
