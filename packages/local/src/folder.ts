import { createHash } from 'node:crypto';
import { lstat, mkdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf } from '@understudy/base';
import { exchangeableAbove } from '@understudy/engine/host';
import { type ServerUser, serverUser } from '@understudy/servers';
import { LocalError } from './errors.ts';
import { makeClusterFolder, makeFolder } from './files.ts';

/** Where everything of one cluster lies. */
export interface ClusterPaths {
  readonly folder: string;
  readonly lock: string;
  /** Who holds the lock, for messages. */
  readonly owner: string;
  readonly state: string;
  readonly secrets: string;
  readonly token: string;
  readonly storeFile: string;
  readonly etcd: string;
  /** Of the cluster's authority and its nodes. */
  readonly tls: string;
  readonly logs: string;
}

/** Where everything of one node lies. */
export interface NodePaths {
  readonly folder: string;
  readonly config: string;
  readonly dataDir: string;
  /** Short, because sockets lie below it. */
  readonly runDir: string;
  readonly log: string;
}

export function clusterPaths(folder: string): ClusterPaths {
  return {
    folder,
    lock: join(folder, 'lock'),
    owner: join(folder, 'lock.owner'),
    state: join(folder, 'state.json'),
    secrets: join(folder, 'secrets.json'),
    token: join(folder, 'token'),
    storeFile: join(folder, 'store.db'),
    etcd: join(folder, 'etcd'),
    tls: join(folder, 'tls'),
    logs: join(folder, 'logs'),
  };
}

/** A socket's path holds 107 bytes; the server's own run folder and file names need some of them. */
const runDirBytesMax = 70;

export function nodePaths(folder: string, node: string): NodePaths {
  const own = join(folder, node);
  const inside = join(own, 'run');
  const runDir = Buffer.byteLength(inside) <= runDirBytesMax ? inside : join(outsideRunFolder(folder), node);
  return {
    folder: own,
    config: join(own, 'node.yaml'),
    dataDir: join(own, 'data'),
    runDir,
    log: join(folder, 'logs', `${node}.log`),
  };
}

/** A short folder for the sockets of a cluster whose own folder has a long path. */
export function outsideRunFolder(folder: string): string {
  const digest = createHash('sha256').update(folder).digest('hex').slice(0, 12);
  return join('/tmp', `understudy-${process.getuid?.() ?? 0}-${digest}`);
}

/**
 * The folder of a cluster when nobody named one: `.understudy/<name>` here; for root below a private home, where the user that runs
 * the servers cannot go, and below another user's folder, `/var/lib/understudy/<name>`.
 */
export async function defaultFolder(name: string): Promise<string> {
  const here = resolve('.understudy', name);
  const user = serverUser();
  if (user === null) return here;
  const isUsable = exchangeableAbove(here) === null && (await unreachableAbove(dirname(dirname(here)), user)) === null;
  if (isUsable) return here;
  return join('/var/lib/understudy', name);
}

/**
 * Makes the folders of a cluster. They are private to this user; as root they can be passed through (not listed), because the servers
 * run as another user, whose data directory lies in them.
 *
 * @throws LocalError `FOLDER_UNUSABLE` when that user cannot reach the folder, or somebody else made the one for sockets.
 */
export async function prepareFolders(folder: string, nodes: readonly string[]): Promise<void> {
  const user = serverUser();
  const mode = user === null ? 0o700 : 0o711;
  const paths = clusterPaths(folder);
  const exchangeable = user === null ? null : exchangeableAbove(folder);
  if (exchangeable !== null) {
    const text = `Another user can replace what is in ${exchangeable}, and this command runs as root.`;
    throw new LocalError('FOLDER_UNUSABLE', text, { next: elsewhere(folder) });
  }
  await makeClusterFolder(folder, mode);
  if (user !== null) {
    const blocked = await unreachableAbove(folder, user);
    if (blocked !== null) {
      const text = `The database server runs as user "${user.name}" here, who cannot pass through ${blocked}.`;
      throw new LocalError('FOLDER_UNUSABLE', text, { next: elsewhere(folder) });
    }
  }
  await makeFolder(paths.logs, 0o700);
  for (const node of nodes) {
    const own = nodePaths(folder, node);
    await makeFolder(own.folder, mode);
    if (!own.runDir.startsWith(`${folder}/`)) await makeOutsideFolder(outsideRunFolder(folder), mode);
    await makeFolder(own.runDir, mode);
  }
}

/** Anyone may create names in /tmp, so what is there already is looked at before it is touched, and used only when it is a folder of our own. */
async function makeOutsideFolder(path: string, mode: number): Promise<void> {
  await mkdir(path, { mode }).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error;
  });
  const found = await lstat(path).catch(() => null);
  const isOwn = found?.isDirectory() === true && found.uid === (process.geteuid?.() ?? found.uid);
  if (isOwn && (found.mode & 0o022) === 0) return makeFolder(path, mode);
  throw new LocalError('FOLDER_UNUSABLE', `${path} is needed for sockets but belongs to somebody else.`, {
    next: 'Remove it.',
  });
}

const elsewhere = (folder: string): string =>
  `Choose another folder with --data-dir, e.g. ${join('/var/lib/understudy', basename(folder))}.`;

/** The first folder above that `user` cannot pass through, by its mode; null when there is none. */
async function unreachableAbove(path: string, user: ServerUser): Promise<string | null> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await lstat(folder).catch(() => null);
    if (found !== null) {
      const bit = found.uid === user.uid ? 0o100 : found.gid === user.gid ? 0o010 : 0o001;
      if ((found.mode & bit) === 0) return folder;
    }
    if (folder === dirname(folder)) return null;
  }
}
