import { chmodSync, closeSync, constants, lstatSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { reasonOf } from './errors.ts';

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
 * @returns null when another holds it
 * @throws the error of the system or of SQLite when the file cannot be used
 */
export function takeProcessLock(file: string, waitMs = 0): ProcessLock | null {
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
  return {
    release: () => {
      if (database.isOpen) database.close();
    },
  };
}
