import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { codeOf } from '../errors.ts';
import { realFolder } from '../reach.ts';
import { pollUntil } from '../waiting.ts';

/** How long killed processes may take to disappear: on a busy machine they wait for a processor to die on. */
export const killPatienceMs = 10_000;

/** A process as `/proc` shows it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly title: string;
}

/** What tells a server's processes from others. */
export interface ProcessSigns {
  /** The name of the program, cut by the kernel to 15 bytes. */
  readonly name: string;
  readonly args: readonly string[];
}

export type IsServer = (signs: ProcessSigns) => boolean;

/** Null for a process that is gone, and for a dead one that nobody has taken note of. */
function statOf(pid: number): { readonly name: string; readonly fields: readonly string[] } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name is in parentheses, and may hold spaces and parentheses itself.
    const end = text.lastIndexOf(')');
    const fields = text.slice(end + 2).split(' ', 20);
    // The first thread of a killed server may be dead while others still hold its files and its port.
    const isDead = (fields[0] === 'Z' || fields[0] === 'X') && Number(fields[17]) <= 1;
    return isDead ? null : { name: text.slice(text.indexOf('(') + 1, end), fields };
  } catch {
    return null;
  }
}

/**
 * When a living process was started, in ticks since boot: with its id it names one process for ever. Null when there is none, or only a
 * dead one. Made to be asked often: one read of microseconds, no promise.
 */
export function startTicks(pid: number): string | null {
  return statOf(pid)?.fields[19] ?? null;
}

async function argsOf(pid: number): Promise<readonly string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0');
}

async function allPids(): Promise<readonly number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Whether this process is a server that works in that folder: every server makes its data directory its working directory. */
async function isServerIn(pid: number, realDir: string, isServer: IsServer): Promise<boolean> {
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => null);
  if (folder !== realDir) return false;
  const args = await argsOf(pid);
  const stat = statOf(pid);
  return stat !== null && isServer({ name: stat.name, args });
}

/** As `isServerIn`; the folder may be named through links, and one that is not there has no server. */
export async function worksIn(pid: number, dataDir: string, isServer: IsServer): Promise<boolean> {
  const real = await realFolder(dataDir).catch(() => null);
  return real !== null && isServerIn(pid, real, isServer);
}

/** Every server process of a data directory, whoever started it and however orphaned it is. */
export async function serverProcesses(dataDir: string, isServer: IsServer): Promise<readonly number[]> {
  const real = await realFolder(dataDir).catch(() => null);
  if (real === null) return [];
  const pids = await allPids();
  const mine = await Promise.all(pids.map((pid) => isServerIn(pid, real, isServer)));
  return pids.filter((_, index) => mine[index] === true);
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
  return (await allPids()).filter((pid) => Number(statOf(pid)?.fields[1]) === parent);
}

/** Children of a process with their titles. */
export async function childrenOf(parent: number): Promise<readonly ProcessInfo[]> {
  const pids = (await listedChildren(parent)) ?? (await scannedChildren(parent));
  return Promise.all(pids.map(async (pid) => ({ pid, title: (await argsOf(pid)).join(' ').trim() })));
}

/** Every living process that was started with exactly this argument. */
async function processesWith(argument: string): Promise<readonly number[]> {
  const wanted = Buffer.from(argument, 'utf8').toString('latin1');
  const pids = await allPids();
  const found = await Promise.all(
    pids.map(async (pid) => (await argsOf(pid)).includes(wanted) && startTicks(pid) !== null),
  );
  return pids.filter((_, index) => found[index] === true);
}

/** Kills the programs that an agent before this one has left behind, known by an argument that no other has; waits until they are gone. */
export async function killProcessesWith(argument: string): Promise<void> {
  const check = async (): Promise<true | null> => {
    const pids = await processesWith(argument);
    for (const pid of pids) signalProcess(pid, 'SIGKILL');
    return pids.length === 0 ? true : null;
  };
  if ((await pollUntil(check, { everyMs: 5, timeoutMs: killPatienceMs })) !== null) return;
  throw new Error(`A program that was started with ${argument} does not end although it was killed.`);
}

/** Sends a signal; a process that is gone already is what was wanted. */
export function signalProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}
