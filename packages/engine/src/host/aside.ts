import { basename, dirname, join } from 'node:path';
import { EngineError } from '../index.ts';
import { entryAt, isThere, namesIn, readIfThere, renameTo, replaceFile, syncFolder } from './files.ts';
import { realFolder } from './reach.ts';
import { removeTree } from './tree.ts';

/** The file by which a data directory of ours is known. */
export const identityName = 'understudy.json';
/** In a folder that is kept: why, and whether all of it is elsewhere. */
export const keptNoteName = 'understudy-kept.json';
/** The log of a PostgreSQL server, which may be a link to another disk: what is there belongs to the directory. */
export const linkedLog = 'pg_wal';

/** What lies beside a data directory: a replaced one or a part of its log that is kept, or one that is being made. */
export type SiblingKind = 'aside' | 'fork' | 'clone' | 'init';

/** Why something is kept. `contained`: all of it is in the history of the member that the new copy comes from, by what both said. */
export interface KeptNote {
  readonly why: string;
  readonly history: 'contained' | 'unproven';
}

let made = 0;

/** The time, and a number for what one process makes within a millisecond: names sort by age. */
export function stamp(): string {
  made += 1;
  const time = new Date().toISOString().replaceAll(/[:.]/g, '').replace('T', '-').replace('Z', '');
  return `${time}-${String(made).padStart(4, '0')}`;
}

/** Where the log of a data directory is, when that is a link; null when it is not. */
export async function linkedLogOf(dataDir: string): Promise<string | null> {
  const path = join(dataDir, linkedLog);
  const entry = await entryAt(path).catch(() => null);
  if (entry === null || !entry.isSymbolicLink()) return null;
  return realFolder(path).catch(() => null);
}

/** Folders beside the data directory that we made of it earlier, oldest first. */
export async function siblings(dataDir: string, kind: SiblingKind): Promise<readonly string[]> {
  const folder = dirname(dataDir);
  const prefix = `${basename(dataDir)}.${kind}-`;
  const names = await namesIn(folder).catch(() => []);
  const ours = names.filter((name) => name.startsWith(prefix)).sort();
  return ours.map((name) => join(folder, name));
}

/** A new name of that kind beside the data directory. */
export function siblingPath(dataDir: string, kind: SiblingKind): string {
  return join(dirname(dataDir), `${basename(dataDir)}.${kind}-${stamp()}`);
}

/** Removes what an interrupted `clone` or `init` left beside the data directory. */
export async function removeLeftovers(dataDir: string, kind: 'clone' | 'init'): Promise<void> {
  for (const leftover of await siblings(dataDir, kind)) await removeData(leftover, dataDir);
}

/** Removes a data directory with its log, wherever that lies; that of `dataDir`, which is in use, is never touched. */
export async function removeData(folder: string, dataDir: string): Promise<void> {
  const log = await linkedLogOf(folder);
  if (log !== null && log !== (await linkedLogOf(dataDir))) await removeTree(log);
  await removeTree(folder);
}

/**
 * Moves a data directory aside instead of deleting it. It is kept until the budget lets it go (when all of it is elsewhere) or an operator does.
 *
 * @returns where it is now; null when there was none, or an empty one.
 * @throws EngineError `ENGINE_DATA_REFUSED` when it is not one that Understudy made.
 */
export async function moveAside(dataDir: string, note: KeptNote): Promise<string | null> {
  if (!(await isThere(dataDir))) return null;
  if ((await namesIn(dataDir)).length === 0) {
    await removeTree(dataDir);
    return null;
  }
  if ((await readIfThere(join(dataDir, identityName))) === null) {
    const text = `${dataDir} was not made by Understudy (no ${identityName}), so it is not touched.`;
    throw new EngineError('ENGINE_DATA_REFUSED', text, { next: 'Move it away yourself.' });
  }
  const target = siblingPath(dataDir, 'aside');
  await renameTo(dataDir, target);
  await syncFolder(dirname(dataDir));
  // Only now, and not at any cost (a disk may be full): what has no note counts as what may be the only copy.
  await noteKept(target, note).catch(() => undefined);
  return target;
}

/** Writes into a folder that is kept why it is. */
export async function noteKept(folder: string, note: KeptNote): Promise<void> {
  const text = { ...note, since: new Date().toISOString() };
  await replaceFile(join(folder, keptNoteName), `${JSON.stringify(text, null, 2)}\n`, null);
}
