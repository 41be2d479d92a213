/** Who holds the write lock of the local store: only to say so, best effort. */

import { readFileSync } from 'node:fs';
import { processInfo } from '@understudy/base/processes';
import { identify } from './file.ts';

/** SQLite's write lock in WAL mode is this byte of the -shm file (sqlite.org/walformat.html, WAL_WRITE_LOCK). */
const WRITE_LOCK_BYTE = 120;

/** The process whose lock on the local store made a call time out. */
interface LockHolder {
  readonly pid: number;
  /** `stopped`: it will not go on by itself (SIGSTOP, debugger). Ending it frees the store without damage. */
  readonly state: 'stopped' | 'running';
}

/** The holder according to /proc/locks, or null when nobody holds it now or it cannot be told. */
export function findLockHolder(path: string): LockHolder | null {
  try {
    const pid = findHolder(path);
    if (pid === null) return null;
    return { pid, state: /^[Tt]$/.test(processInfo(pid)?.state ?? '') ? 'stopped' : 'running' };
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
