/** Where agent and guard meet. */

import { openSync } from 'node:fs';
import { join } from 'node:path';

/** A unix socket's address has at most 107 bytes. */
const MAX_SOCKET_PATH_BYTES = 107;

/** The guard's socket. For a folder whose path is too long for a socket's address, a short name of the same place. */
export function socketPathOf(runDir: string): string {
  const path = join(runDir, 'guard.sock');
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path;
  // The folder stays open as long as this process lives, so that the short name stays valid.
  return `/proc/${process.pid}/fd/${folderOf(runDir)}/guard.sock`;
}

const folders = new Map<string, number>();

function folderOf(runDir: string): number {
  const known = folders.get(runDir) ?? openSync(runDir, 'r');
  folders.set(runDir, known);
  return known;
}

/** File with the name of the guard's process, for an agent that finds a guard that does not answer. */
export const pidFileOf = (runDir: string): string => join(runDir, 'guard.pid');
