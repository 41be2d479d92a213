import { lstat, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EngineError } from '@understudy/engine';
import { codeOf, readIfThere, syncFolder } from '@understudy/engine/host';
import { identityName } from '../paths.ts';

/** How much may be kept of what was replaced. */
export interface AsideBudget {
  readonly maxBytes: number;
  readonly keep: number;
}

let made = 0;

/** The time, and a number for what one process makes within a millisecond: names sort by age. */
function stamp(): string {
  made += 1;
  const time = new Date().toISOString().replaceAll(/[:.]/g, '').replace('T', '-').replace('Z', '');
  return `${time}-${String(made).padStart(4, '0')}`;
}

/** Size of a folder in bytes on disk, without following links. */
export async function folderBytes(path: string): Promise<number> {
  const entry = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (entry === null) return 0;
  if (!entry.isDirectory()) return entry.blocks * 512;
  let sum = entry.blocks * 512;
  for (const name of await readdir(path)) sum += await folderBytes(join(path, name));
  return sum;
}

/** Names beside the data directory that we made of it earlier (`kind`: aside, fork, clone, init), oldest first. */
export async function siblings(dataDir: string, kind: 'aside' | 'fork' | 'clone' | 'init'): Promise<readonly string[]> {
  const folder = dirname(dataDir);
  const prefix = `${basename(dataDir)}.${kind}-`;
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => name.startsWith(prefix))
    .sort()
    .map((name) => join(folder, name));
}

/** A new name of that kind beside the data directory; sorts by age. */
export function siblingPath(dataDir: string, kind: 'aside' | 'fork' | 'clone' | 'init'): string {
  return join(dirname(dataDir), `${basename(dataDir)}.${kind}-${stamp()}`);
}

/**
 * Moves a data directory aside instead of deleting it, and forgets the oldest ones that exceed the budget.
 *
 * @returns where it is now; null when there was none.
 * @throws EngineError `ENGINE_DATA_REFUSED` when it is not one that Understudy made.
 */
export async function moveAside(dataDir: string, budget: AsideBudget): Promise<string | null> {
  const there = await stat(dataDir).catch(() => null);
  if (there === null) return null;
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

/** Removes the oldest asides (and forked logs) of this data directory until count and size are within the budget. */
export async function keepWithinBudget(dataDir: string, budget: AsideBudget): Promise<void> {
  for (const kind of ['aside', 'fork'] as const) {
    const kept = [...(await siblings(dataDir, kind))];
    let bytes = 0;
    for (const path of kept) bytes += await folderBytes(path);
    while (kept.length > 0 && (kept.length > budget.keep || bytes > budget.maxBytes)) {
      const oldest = kept.shift() ?? '';
      bytes -= await folderBytes(oldest);
      await rm(oldest, { recursive: true, force: true });
    }
  }
}
