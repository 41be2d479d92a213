import { join } from 'node:path';
import { pollUntil } from '@understudy/base';
import {
  clusterPaths,
  endGently,
  folderOf,
  killAll,
  lockFolder,
  lockHolder,
  nodePaths,
  processesOf,
  removeFolder,
} from '@understudy/local/parts';
import { askPair } from '../control/client.ts';
import { type PairStatus, statusSchema } from '../control/protocol.ts';
import { statusOfFile } from '../control/status.ts';
import { sideNames } from '../decide/sides.ts';
import { PairError } from '../errors.ts';
import { type PairFile, readPairFile } from './pair-file.ts';

const stopGraceMs = 60_000;
const askTimeoutMs = 5000;

export interface PairDescription {
  readonly folder: string;
  readonly file: PairFile;
  readonly socket: string;
  readonly secretsFile: string;
  /** The process that runs it now. */
  readonly runner: { readonly pid: number | null } | null;
}

type Choice = { readonly name?: string; readonly folder?: string };

/** The socket of the process that runs the pair of a folder. */
export const controlSocket = (folder: string): string => join(nodePaths(folder, 'control').runDir, 'pair.sock');

/** The folders that a pair has, beside those of its servers. */
export const pairFolders = [...sideNames, 'control'];

/** Describes the pair of a folder, whether it runs or not; null when there is none. @throws PairError `PAIR_STATE_INVALID` */
export async function describePair(choice: Choice): Promise<PairDescription | null> {
  const folder = await folderOf(choice);
  const file = await readPairFile(folder);
  if (file === null) return null;
  const paths = clusterPaths(folder);
  return { folder, file, socket: controlSocket(folder), secretsFile: paths.secrets, runner: lockHolder(paths) };
}

/** The status of a pair: of the process that runs it, or of its folder when none does. @throws PairError */
export async function pairStatus({ folder, file, socket, runner }: PairDescription): Promise<PairStatus> {
  if (runner !== null) return askPair(socket, { op: 'status' }, statusSchema, askTimeoutMs);
  const pidOf = (side: 'n1' | 'n2'): number | null =>
    processesOf({ variable: `UNDERSTUDY_PAIR=${file.id}`, folder: nodePaths(folder, side).folder })[0]?.pid ?? null;
  return statusOfFile(folder, file, { n1: pidOf('n1'), n2: pidOf('n2') });
}

/** Ends a pair that another process runs, or servers that a killed one has left. @throws PairError `PAIR_FAILED` */
export async function stopPair(choice: Choice, timeoutMs = stopGraceMs): Promise<'stopped' | 'nothing'> {
  const found = await describePair(choice);
  if (found === null) return 'nothing';
  const { folder, file, runner } = found;
  if (runner?.pid != null && runner.pid !== process.pid) signal(runner.pid);
  const paths = clusterPaths(folder);
  const free = await pollUntil(async () => (lockHolder(paths) === null ? true : null), { everyMs: 100, timeoutMs });
  if (free === null) {
    const text = `Process ${runner?.pid ?? '?'} still runs the pair in ${folder} after ${timeoutMs / 1000} s.`;
    throw new PairError('PAIR_FAILED', text, { next: 'End it, then try again.' });
  }
  const lock = lockFolder(paths);
  try {
    const mark = { variable: `UNDERSTUDY_PAIR=${file.id}`, folder };
    const left = processesOf(mark);
    // A server shuts down in order when it is asked to.
    await endGently(left, timeoutMs);
    await killAll(mark);
    return left.length > 0 || runner !== null ? 'stopped' : 'nothing';
  } finally {
    lock.release();
  }
}

/** Ends a pair and removes its folder with all data. */
export async function destroyPair(choice: Choice): Promise<'destroyed' | 'nothing'> {
  const found = await describePair(choice);
  if (found === null) return 'nothing';
  await stopPair(choice);
  const lock = lockFolder(clusterPaths(found.folder));
  try {
    await removeFolder(found.folder);
  } finally {
    lock.release();
  }
  return 'destroyed';
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has ended meanwhile, which is what was wanted.
  }
}
