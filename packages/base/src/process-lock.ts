import { chmodSync, closeSync, constants, lstatSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { reasonOf } from './errors.ts';

/**
 * Locks of this process, by path. A lock that nobody refers to any more would be collected, and open. And POSIX ends all locks of a
 * process on a file when it closes any descriptor of that file: a file that is held is not opened again.
 */
const held = new Map<string, DatabaseSync>();

export interface ProcessLock {
  /** May be called more than once. */
  release(): void;
}

/**
 * Takes a lock between processes. It is an exclusive transaction of SQLite, which the operating system ends when this process dies
 * in whatever way: there are no stale locks to judge.
 *
 * @param file made when it does not exist, for its owner alone; it stays there
 * @param waitMs how long this process stands still for another holder
 * @returns null when another holds it, in this process or in another
 * @throws the error of the system or of SQLite when the file cannot be used
 */
export function takeProcessLock(file: string, waitMs = 0): ProcessLock | null {
  const path = resolve(file);
  if (held.has(path)) return null;
  // Whoever may read it could hold it.
  closeSync(openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  if ((lstatSync(file).mode & 0o777) !== 0o600) chmodSync(file, 0o600);
  const database = new DatabaseSync(file, { timeout: waitMs });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (/locked|busy/.test(reasonOf(error))) return null;
    throw error;
  }
  held.set(path, database);
  return {
    release: () => {
      if (!database.isOpen) return;
      held.delete(path);
      database.close();
    },
  };
}
