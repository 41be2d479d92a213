/** Who holds the write lock of the local store: only to say so, best effort. */

import { readFileSync } from 'node:fs';
import type { LockHolder } from '../errors.ts';
import { identify } from './file.ts';

/** SQLite's write lock in WAL mode is this byte of the -shm file (sqlite.org/walformat.html, WAL_WRITE_LOCK). */
const WRITE_LOCK_BYTE = 120;

/** The holder according to /proc/locks, or null when nobody holds it now or it cannot be told. */
export function findLockHolder(path: string): LockHolder | null {
  try {
    const pid = findHolder(path);
    return pid === null ? null : { pid, state: processState(pid) };
  } catch {
    // A help only: without /proc the message is shorter.
    return null;
  }
}

function findHolder(path: string): number | null {
  const shm = identify(`${path}-shm`);
  if (shm === null) return null;
  for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
    // "5: POSIX  ADVISORY  WRITE 4711 fe:00:1234567 120 120"; lines with "->" are waiters.
    const [, kind, , mode, pid, file, first, last] = line.trim().split(/\s+/);
    if (kind !== 'POSIX' || mode !== 'WRITE' || file?.endsWith(`:${shm.inode}`) !== true) continue;
    if (Number(first) <= WRITE_LOCK_BYTE && WRITE_LOCK_BYTE <= Number(last)) return Number(pid);
  }
  return null;
}

function processState(pid: number): LockHolder['state'] {
  // The state letter follows the command name, which is in parentheses and may contain anything.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const letter = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  return letter === 'T' || letter === 't' ? 'stopped' : 'running';
}
