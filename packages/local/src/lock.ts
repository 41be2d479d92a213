import { closeSync, constants, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { reasonOf } from '@understudy/base';
import { type ProcessLock, takeProcessLock } from '@understudy/base/process-lock';
import { LocalError } from './errors.ts';
import { requireOwnFolder } from './files.ts';
import type { ClusterPaths } from './folder.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

export interface FolderLock {
  release(): void;
}

/** Somebody who only asks whether the folder is in use holds it for a moment. */
const probeMs = 300;

/**
 * Claims a cluster folder for this process, until it ends in whatever way.
 *
 * @throws LocalError `CLUSTER_BUSY` naming the process that holds it; `FOLDER_UNUSABLE`.
 */
export function lockFolder(paths: ClusterPaths, waitMs = probeMs): FolderLock {
  requireOwnFolder(paths.folder);
  const lock = take(paths, waitMs);
  if (lock === null) {
    throw new LocalError('CLUSTER_BUSY', `${paths.folder} is in use by ${holder(paths)}.`, {
      next: 'End that one first, or choose another folder with --data-dir.',
    });
  }
  noteOwner(paths);
  let isHeld = true;
  return {
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      rmSync(paths.owner, { force: true });
      lock.release();
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

function take(paths: ClusterPaths, waitMs: number): ProcessLock | null {
  try {
    return takeProcessLock(paths.lock, waitMs);
  } catch (cause) {
    throw new LocalError('FOLDER_UNUSABLE', `Could not lock ${paths.lock}: ${reasonOf(cause)}.`, {
      retry: 'unsafe',
      next: 'Choose a folder of your own with --data-dir.',
      cause,
    });
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
