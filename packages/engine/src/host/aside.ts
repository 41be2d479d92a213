import { lstat, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EngineError } from '../index.ts';
import { codeOf } from './errors.ts';
import { readIfThere, syncFolder } from './files.ts';

/** The file by which a data directory of ours is known. */
export const identityName = 'understudy.json';

/** How much may be kept of what was replaced. */
export interface AsideBudget {
  readonly maxBytes: number;
  readonly keep: number;
}

/** What lies beside a data directory: a replaced one or a part of its log that is kept, or one that is being made. */
export type SiblingKind = 'aside' | 'fork' | 'clone' | 'init';

let made = 0;

/** The time, and a number for what one process makes within a millisecond: names sort by age. */
function stamp(): string {
  made += 1;
  const time = new Date().toISOString().replaceAll(/[:.]/g, '').replace('T', '-').replace('Z', '');
  return `${time}-${String(made).padStart(4, '0')}`;
}

/** Size of a folder on disk in bytes, without following links. */
export async function folderBytes(path: string): Promise<number> {
  const entry = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (entry === null) return 0;
  let bytes = entry.blocks * 512;
  if (entry.isDirectory()) for (const name of await readdir(path)) bytes += await folderBytes(join(path, name));
  return bytes;
}

/** Folders beside the data directory that we made of it earlier, oldest first. */
export async function siblings(dataDir: string, kind: SiblingKind): Promise<readonly string[]> {
  const folder = dirname(dataDir);
  const prefix = `${basename(dataDir)}.${kind}-`;
  const names = await readdir(folder).catch(() => []);
  const ours = names.filter((name) => name.startsWith(prefix)).sort();
  return ours.map((name) => join(folder, name));
}

/** A new name of that kind beside the data directory. */
export function siblingPath(dataDir: string, kind: SiblingKind): string {
  return join(dirname(dataDir), `${basename(dataDir)}.${kind}-${stamp()}`);
}

/** Removes what an interrupted `clone` or `init` left beside the data directory. */
export async function removeLeftovers(dataDir: string, kind: 'clone' | 'init'): Promise<void> {
  for (const leftover of await siblings(dataDir, kind)) await rm(leftover, { recursive: true, force: true });
}

/**
 * Moves a data directory aside instead of deleting it, and forgets the oldest ones that exceed the budget.
 *
 * @returns where it is now; null when there was none, or an empty one.
 * @throws EngineError `ENGINE_DATA_REFUSED` when it is not one that Understudy made.
 */
export async function moveAside(dataDir: string, budget: AsideBudget): Promise<string | null> {
  if ((await stat(dataDir).catch(() => null)) === null) return null;
  if ((await readdir(dataDir)).length === 0) {
    await rm(dataDir, { recursive: true });
    return null;
  }
  if ((await readIfThere(join(dataDir, identityName))) === null) {
    const text = `${dataDir} was not made by Understudy (no ${identityName}), so it is not touched. Move it away yourself.`;
    throw new EngineError('ENGINE_DATA_REFUSED', text, 'unsafe');
  }
  const target = siblingPath(dataDir, 'aside');
  await rename(dataDir, target);
  await syncFolder(dirname(dataDir));
  await keepWithinBudget(dataDir, budget);
  return target;
}

/** Removes the oldest of what is kept of a data directory, of each kind, until number and size are within the budget. */
export async function keepWithinBudget(dataDir: string, budget: AsideBudget): Promise<void> {
  for (const kind of ['aside', 'fork'] as const) await keepSome(await siblings(dataDir, kind), budget);
}

async function keepSome(paths: readonly string[], budget: AsideBudget): Promise<void> {
  const sizes = new Map<string, number>();
  for (const path of paths) sizes.set(path, await folderBytes(path));
  let bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  for (const [path, size] of sizes) {
    if (sizes.size <= budget.keep && bytes <= budget.maxBytes) return;
    await rm(path, { recursive: true, force: true });
    sizes.delete(path);
    bytes -= size;
  }
}
