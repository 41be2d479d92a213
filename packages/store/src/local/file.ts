/** The file of the local store as a file: made with the right mode, on a real disk, and still the same one. */

import { closeSync, openSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../errors.ts';
import { fromFileSystem } from './errors.ts';

/** Magic numbers of network file systems (statfs(2)): WAL mode shares memory, which they cannot. */
const NETWORK_FILE_SYSTEMS = new Map<number, string>([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x517b, 'SMB'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
]);

/** Which file a path leads to. */
export interface FileIdentity {
  readonly device: number;
  readonly inode: number;
}

/**
 * Makes an empty file (mode 0600) unless there is one, and returns its path without symbolic links: all processes have
 * to call the files next to it by the same names.
 *
 * Never opens an existing file: closing any descriptor of it would drop the POSIX locks that SQLite holds on it
 * elsewhere in this process (sqlite.org/howtocorrupt.html, 2.2).
 */
export function prepareFile(path: string): string {
  try {
    refuseNetworkFileSystem(path, statfsSync(dirname(path)).type);
    createUnlessThere(path);
    const real = realpathSync(path);
    if (statSync(real).isFile()) return real;
  } catch (error) {
    throw error instanceof StoreError ? error : fromFileSystem(error, path);
  }
  throw new StoreError('not-a-store', `Local store ${path}: this is not a file.`, { next: 'Correct store.path.' });
}

function createUnlessThere(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

/** The file now at `path`, or null when there is none. */
export function identify(path: string): FileIdentity | null {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? null : { device: stats.dev, inode: stats.ino };
}

/**
 * Throws StoreError `wrong-cluster` when `path` no longer leads to the file that was opened: writing on to a deleted
 * file would succeed and be seen by nobody.
 */
export function checkSameFile(path: string, opened: FileIdentity): void {
  const now = identify(path);
  if (now !== null && now.inode === opened.inode && now.device === opened.device) return;
  throw new StoreError(
    'wrong-cluster',
    `Local store ${path}: the file was ${now === null ? 'removed' : 'replaced'} while it was in use.`,
    { next: 'Put it back or restart the agent.' },
  );
}

function refuseNetworkFileSystem(path: string, type: number): void {
  const name = NETWORK_FILE_SYSTEMS.get(type);
  if (name === undefined) return;
  throw new StoreError(
    'unsupported-platform',
    `Local store ${path}: lies on ${name}, but the store has to be on a disk of this machine.`,
    { next: 'Choose another path, or etcd.' },
  );
}
