import { pollUntil } from '@understudy/base';
import { processInfo, signalPid } from '@understudy/base/processes';
import { authorityFile } from './certificates.ts';
import { removeFolder } from './cluster.ts';
import { LocalError } from './errors.ts';
import { readText, requireOwnFolder } from './files.ts';
import { clusterPaths, nodePaths } from './folder.ts';
import { stopLeftovers } from './leftovers.ts';
import { lockFolder, lockHolder } from './lock.ts';
import { socketFolderOf } from './node.ts';
import type { LocalClusterOptions, NodeAddress } from './options.ts';
import { folderOf } from './plan.ts';
import { apiScheme, type ClusterState, readState } from './state.ts';

/** How long a process that has let go of its folder is given to end. */
const lastMomentMs = 3000;

/** A cluster as its folder describes it, whether it runs or not. */
export interface ClusterDescription {
  readonly folder: string;
  readonly state: ClusterState;
  /** Only for clusters on the loopback address: the addresses of others are gone with them. */
  readonly nodes: readonly NodeAddress[];
  readonly tokenFile: string;
  /** The authorities of the agents' and of the servers' certificates; null: nothing is encrypted. */
  readonly caFile: string | null;
  readonly databaseCaFile: string | null;
  readonly secretsFile: string;
  /** The process that runs it now. */
  readonly runner: { readonly pid: number | null } | null;
}

/**
 * Describes the cluster of a folder, for commands that talk to its agents.
 *
 * @returns null when there is no cluster.
 * @throws LocalError `STATE_INVALID`
 */
export async function describeCluster(
  options: Pick<LocalClusterOptions, 'name' | 'folder'>,
): Promise<ClusterDescription | null> {
  const folder = await folderOf(options);
  const paths = clusterPaths(folder);
  requireOwnFolder(folder);
  const state = await readState(paths);
  if (state === null) return null;
  const nodes = state.nodes.map((node) => ({
    name: node.name,
    host: '127.0.0.1',
    dbPort: node.dbPort,
    apiUrl: `${apiScheme(state)}://127.0.0.1:${node.apiPort}`,
    socketFolder: socketFolderOf(nodePaths(folder, node.name)),
  }));
  const databaseCaFile = authorityFile(paths, state, 'database');
  const ofApi = authorityFile(paths, state, 'api');
  // A cluster that an earlier version started, and that still runs, has one authority for all.
  const caFile = ofApi !== null && (await readText(ofApi)) === null ? databaseCaFile : ofApi;
  const { token: tokenFile, secrets: secretsFile } = paths;
  return { folder, state, nodes, tokenFile, caFile, databaseCaFile, secretsFile, runner: lockHolder(paths) };
}

/**
 * Ends a cluster that another process runs, or what is left of one.
 *
 * @returns `nothing` when nothing ran.
 * @throws LocalError `STOP_TIMEOUT` when the process that runs it does not end in time.
 */
export async function stopCluster(
  options: Pick<LocalClusterOptions, 'name' | 'folder'>,
  timeoutMs = 60_000,
): Promise<'stopped' | 'nothing'> {
  const description = await describeCluster(options);
  if (description === null) return 'nothing';
  const { folder, state, runner } = description;
  if (runner !== null) await endRunner(folder, runner.pid, timeoutMs);
  const lock = lockFolder(clusterPaths(folder));
  try {
    const ended = await stopLeftovers(folder, state);
    return ended > 0 || runner !== null ? 'stopped' : 'nothing';
  } finally {
    lock.release();
  }
}

/**
 * Ends what a killed process has left running in a folder; one that is in use is left alone.
 *
 * @returns `nothing` when nothing ran, or somebody uses the folder.
 */
export async function stopOrphans(
  options: Pick<LocalClusterOptions, 'name' | 'folder'>,
): Promise<'stopped' | 'nothing'> {
  const description = await describeCluster(options);
  if (description === null || description.runner !== null) return 'nothing';
  const lock = lockFolder(clusterPaths(description.folder));
  try {
    return (await stopLeftovers(description.folder, description.state)) > 0 ? 'stopped' : 'nothing';
  } finally {
    lock.release();
  }
}

async function endRunner(folder: string, pid: number | null, timeoutMs: number): Promise<void> {
  if (pid !== null && pid !== process.pid && processInfo(pid) !== null) signalPid(pid, 'SIGTERM');
  const ended = await pollUntil(() => (lockHolder(clusterPaths(folder)) === null ? true : null), {
    everyMs: 100,
    timeoutMs,
  });
  if (ended !== null) {
    // It lets go of the folder a moment before it ends. A program that uses this library may go on with something else.
    await pollUntil(() => (pid === null || pid === process.pid || processInfo(pid) === null ? true : null), {
      everyMs: 20,
      timeoutMs: lastMomentMs,
    });
    return;
  }
  throw new LocalError(
    'STOP_TIMEOUT',
    `Process ${pid ?? '?'} still runs the cluster in ${folder} after ${timeoutMs / 1000} s.`,
    { next: 'End it, then try again.' },
  );
}

/**
 * Ends a cluster and removes its folder with all data.
 *
 * @returns `nothing` when there was no cluster.
 */
export async function destroyCluster(
  options: Pick<LocalClusterOptions, 'name' | 'folder'>,
): Promise<'destroyed' | 'nothing'> {
  const description = await describeCluster(options);
  if (description === null) return 'nothing';
  await stopCluster(options);
  const lock = lockFolder(clusterPaths(description.folder));
  try {
    await removeFolder(description.folder);
  } finally {
    lock.release();
  }
  return 'destroyed';
}
