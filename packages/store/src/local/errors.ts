/** From what SQLite and the file system say to StoreError. */

import { codeOf, reasonOf } from '@understudy/base';
import { z } from 'zod';
import { StoreError, type StoreErrorCode } from '../errors.ts';

/** Primary result codes of SQLite (sqlite.org/rescode.html). The low byte of an extended code is its primary one. */
const SQLITE = { BUSY: 5, READONLY: 8, IOERR: 10, CORRUPT: 11, FULL: 13, CANTOPEN: 14, PROTOCOL: 15, NOTADB: 26 };

/** The primary SQLite result code of an error thrown by node:sqlite, or null for any other error. */
export function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : null;
}

/** True when another process held a lock. PROTOCOL is the same thing during a race for the WAL index. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE.BUSY || code === SQLITE.PROTOCOL;
}

/**
 * Translates a failure of SQLite. `phase` is `commit` when it came from COMMIT itself: after an I/O error there,
 * complete frames may be in the write-ahead log and come to life after a crash, so the outcome is unknown. A full
 * disk is another matter: the frame that commits is the last one and was not written.
 */
export function fromSqlite(error: unknown, path: string, phase: 'before-commit' | 'commit'): StoreError {
  if (error instanceof StoreError) return error;
  // A row of another shape than the tables allow: somebody else wrote into the file.
  const code = error instanceof z.ZodError ? SQLITE.CORRUPT : sqliteCode(error);
  const make = (name: StoreErrorCode, next: string) =>
    new StoreError(name, `Local store ${path}: ${reasonOf(error)}.`, {
      retry: phase === 'commit' && name !== 'store-full' ? 'unknown' : 'unsafe',
      next,
      cause: error,
    });
  switch (code) {
    case SQLITE.NOTADB:
      return make('not-a-store', 'The file is not an Understudy store and was not touched; correct store.path.');
    case SQLITE.CORRUPT:
      return make('corrupt', 'Stop the agents, move the file aside and start them again: they make a new store.');
    case SQLITE.FULL:
      return make('store-full', 'The disk is full: free space in that file system.');
    case SQLITE.READONLY:
    case SQLITE.CANTOPEN:
      return make('permission-denied', 'All agents of the machine have to run as the owner of the file.');
    default:
      return make('io-error', 'Look into the kernel log for disk errors.');
  }
}

/** Translates a failure of the file system met while opening the file. */
export function fromFileSystem(error: unknown, path: string): StoreError {
  const make = (code: StoreErrorCode, text: string, next?: string) =>
    new StoreError(code, `Local store ${path}: ${text}`, { next, cause: error });
  switch (codeOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return make('folder-missing', 'its folder does not exist.', 'Create the folder or correct store.path.');
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return make('permission-denied', 'this user may not write there.', 'Run the agent as the owner of the folder.');
    case 'ENOSPC':
    case 'EDQUOT':
      return make('store-full', 'the disk is full.', 'Free space in that file system.');
    default:
      return make('io-error', `${reasonOf(error)}.`);
  }
}
