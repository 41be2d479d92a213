import { dirname } from 'node:path';
import { entryAt, readIfThere, removeFile, replaceFile, syncFolder } from './files.ts';

/**
 * Marks a data directory that must never be started: a rewind is changing it, or has failed half-way. The mark lies beside the
 * directory (a rewind removes what its source does not have) and names its inode, so that a directory put in its place later
 * does not inherit it.
 */
function markOf(dataDir: string): string {
  return `${dataDir}.incomplete`;
}

async function inodeOf(dataDir: string): Promise<string | null> {
  const entry = await entryAt(dataDir);
  return entry === null ? null : String(entry.ino);
}

export async function markIncomplete(dataDir: string): Promise<void> {
  await replaceFile(markOf(dataDir), `${await inodeOf(dataDir)}\n`, null);
}

export async function unmarkIncomplete(dataDir: string): Promise<void> {
  await removeFile(markOf(dataDir));
  await syncFolder(dirname(dataDir));
}

export async function isMarkedIncomplete(dataDir: string): Promise<boolean> {
  const marked = (await readIfThere(markOf(dataDir)))?.trim();
  return marked !== undefined && marked === (await inodeOf(dataDir));
}
