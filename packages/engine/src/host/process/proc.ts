import { readFile } from 'node:fs/promises';
import { pollUntil } from '@understudy/base';
import {
  allPids,
  allProcesses,
  argumentsOf,
  commandOf,
  linkOf,
  processInfo,
  signalPid,
} from '@understudy/base/processes';
import { realFolder } from '../reach.ts';

/** How long killed processes may take to disappear: on a busy machine they wait for a processor to die on. */
export const killPatienceMs = 10_000;

/** A process as people see it in a list. */
export interface TitledProcess {
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

/** Whether this process is a server that works in that folder: every server makes its data directory its working directory. */
function isServerIn(pid: number, realDir: string, isServer: IsServer): boolean {
  if (linkOf(pid, 'cwd') !== realDir) return false;
  const info = processInfo(pid);
  return info !== null && isServer({ name: info.program, args: argumentsOf(pid) });
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
  return allPids().filter((pid) => isServerIn(pid, real, isServer));
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

const scannedChildren = (wanted: number): readonly number[] =>
  allProcesses().flatMap(({ pid, parent }) => (parent === wanted ? [pid] : []));

/** Children of a process with their titles. */
export async function childrenOf(parent: number): Promise<readonly TitledProcess[]> {
  const pids = (await listedChildren(parent)) ?? scannedChildren(parent);
  return pids.map((pid) => ({ pid, title: commandOf(pid) }));
}

/** Every living process that was started with exactly this argument. */
const processesWith = (argument: string): readonly number[] =>
  allPids().filter((pid) => argumentsOf(pid).includes(argument) && processInfo(pid) !== null);

/** Kills the programs that an agent before this one has left behind, known by an argument that no other has; waits until they are gone. */
export async function killProcessesWith(argument: string): Promise<void> {
  const check = (): true | null => {
    const pids = processesWith(argument);
    for (const pid of pids) signalPid(pid, 'SIGKILL');
    return pids.length === 0 ? true : null;
  };
  if ((await pollUntil(check, { everyMs: 5, timeoutMs: killPatienceMs })) !== null) return;
  throw new Error(`A program that was started with ${argument} does not end although it was killed.`);
}
