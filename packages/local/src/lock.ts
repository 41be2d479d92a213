import { chmodSync, closeSync, constants, lstatSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { LocalError, reasonOf } from './errors.ts';
import { requireOwnFolder } from './files.ts';
import type { ClusterPaths } from './folder.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR, O_WRONLY } = constants;

export interface FolderLock {
  release(): void;
}

/** Somebody who only asks whether the folder is in use holds it for a moment. */
const probeMs = 300;

/**
 * Claims a cluster folder for this process. The lock is an open SQLite transaction: the operating system lets go of it when this
 * process dies in whatever way, so there are no stale locks to judge.
 *
 * @throws LocalError `CLUSTER_BUSY` naming the process that holds it; `FOLDER_UNUSABLE`.
 */
export function lockFolder(paths: ClusterPaths, waitMs = probeMs): FolderLock {
  requireOwnFolder(paths.folder);
  const database = openLock(paths, waitMs);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!/locked|busy/.test(reasonOf(error))) throw unusable(paths, error);
    throw new LocalError(
      'CLUSTER_BUSY',
      `${paths.folder} is in use by ${holder(paths)}. End that one first, or choose another folder with --data-dir.`,
    );
  }
  noteOwner(paths);
  let isHeld = true;
  return {
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      rmSync(paths.owner, { force: true });
      database.close();
    },
  };
}

/** Whether a living process holds the folder, and which; asks without waiting. */
export function lockHolder(paths: ClusterPaths): { readonly pid: number | null } | null {
  try {
    lockFolder(paths, 0).release();
    return null;
  } catch (error) {
    if (error instanceof LocalError && error.code === 'CLUSTER_BUSY') return { pid: ownerPid(paths) };
    throw error;
  }
}

function openLock(paths: ClusterPaths, waitMs: number): DatabaseSync {
  try {
    // Whoever may read it could hold it.
    closeSync(openSync(paths.lock, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600));
    if ((lstatSync(paths.lock).mode & 0o777) !== 0o600) chmodSync(paths.lock, 0o600);
    return new DatabaseSync(paths.lock, { timeout: waitMs });
  } catch (error) {
    throw unusable(paths, error);
  }
}

/** Only with the lock held. A crash may have left one. */
function noteOwner({ owner }: ClusterPaths): void {
  rmSync(owner, { force: true });
  const file = openSync(owner, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    writeSync(file, `${process.pid}\n`);
  } finally {
    closeSync(file);
  }
}

function unusable(paths: ClusterPaths, error: unknown): LocalError {
  const text = `Could not lock ${paths.lock}: ${reasonOf(error)}. Choose a folder of your own with --data-dir.`;
  return new LocalError('FOLDER_UNUSABLE', text, 'unsafe', { cause: error });
}

function ownerPid(paths: ClusterPaths): number | null {
  try {
    const pid = Number(readFileSync(paths.owner, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

function holder(paths: ClusterPaths): string {
  const pid = ownerPid(paths);
  return pid === null ? 'another process' : `process ${pid}`;
}
