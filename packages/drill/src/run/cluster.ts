import { lstat, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalCluster, type LocalCluster, namespacesObjection, stopOrphans } from '@understudy/local';
import type { DrillOptions } from '../options.ts';

export interface ClusterIo {
  /** Program and arguments by which `understudy` is run here; `agent --config FILE` is appended. */
  readonly command: readonly string[];
  readonly signal: AbortSignal;
  readonly notice: (text: string) => void;
  readonly progress: (text: string) => void;
}

export type ClusterOptions = Pick<
  DrillOptions,
  | 'engine'
  | 'nodes'
  | 'store'
  | 'etcdMembers'
  | 'durability'
  | 'logLevel'
  | 'serverVersion'
  | 'pgVersion'
  | 'binDir'
  | 'folder'
>;

/** `namespaces` where they can be used; otherwise `loopback`, which is said. */
export function chooseHosts(hosts: DrillOptions['hosts'], notice: (text: string) => void): 'loopback' | 'namespaces' {
  if (hosts !== 'automatic') return hosts;
  const objection = namespacesObjection();
  if (objection === null) return 'namespaces';
  notice(`Every node is on the loopback address: network namespaces cannot be used (${objection}).`);
  return 'loopback';
}

const folderPrefix = 'understudy-drill-';

/** A new folder for a cluster, which later drills know as one of theirs. */
export const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), folderPrefix));

/** Everybody may make names in a folder for temporary files: what is not a folder of our own, closed to others, is not entered. */
async function isOurs(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => null);
  return found?.isDirectory() === true && found.uid === process.geteuid?.() && (found.mode & 0o022) === 0;
}

/** Ends the clusters of drills that were killed themselves: their folders are locked by nobody, yet processes run. */
export async function endOrphans(): Promise<number> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(folderPrefix));
  let ended = 0;
  for (const name of names) {
    const folder = join(tmpdir(), name);
    if (!(await isOurs(folder))) continue;
    // A folder that is damaged is not tidied up.
    const state = await stopOrphans({ folder }).catch(() => 'nothing');
    if (state === 'stopped') ended += 1;
  }
  return ended;
}

/**
 * Starts a cluster for a drill or a benchmark, in a new folder unless one is named.
 *
 * @throws LocalError; nothing runs any more then, and the folder with the logs stays.
 */
export async function startCluster(
  options: ClusterOptions,
  hosts: 'loopback' | 'namespaces',
  io: ClusterIo,
): Promise<{ readonly cluster: LocalCluster; readonly leader: string }> {
  const ended = await endOrphans();
  if (ended > 0) io.notice(`Ended ${ended} clusters that killed drills had left running.`);
  const folder = options.folder ?? (await newFolder());
  io.progress('starting a cluster');
  const version = options.serverVersion ?? options.pgVersion;
  const cluster = await createLocalCluster({
    name: 'drill',
    folder,
    nodes: options.nodes,
    store: options.store,
    ...(options.etcdMembers === 'hosts'
      ? { etcdMembers: 3, etcdHosts: 'nodes' }
      : { etcdMembers: options.etcdMembers }),
    durability: options.durability,
    hosts,
    logLevel: options.logLevel,
    command: io.command,
    engine: options.engine,
    ...(version === undefined ? {} : { version }),
    ...(options.binDir === undefined ? {} : { binDir: options.binDir }),
    onProgress: ({ text }) => io.progress(`starting a cluster: ${text}`),
    onEvent: (event) => {
      if (event.kind === 'notice') io.notice(event.text);
    },
  });
  try {
    return { cluster, leader: await cluster.start({ signal: io.signal }) };
  } catch (error) {
    if (io.signal.aborted) await cluster.destroy();
    else io.notice(`The cluster did not start; its folder with logs stays: ${folder}`);
    throw error;
  }
}
