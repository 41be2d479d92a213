import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf } from './errors.ts';

/** Whom files must belong to: the user that runs the server, or null for this process's own. */
export type Owner = { readonly uid: number; readonly gid: number } | null;

/** Makes a folder (and nothing above it) with this owner and mode; an existing one is kept. */
export async function makeFolder(path: string, owner: Owner, mode = 0o700): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    throw error;
  }
  if (owner !== null) await chown(path, owner.uid, owner.gid);
}

/** Makes a rename or a removal in `folder` survive a loss of power. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Replaces a file in one step: a reader, or a crash, sees the old content or the new one.
 *
 * @param durability `synced`: survives a loss of power when this resolves. `cached`: for files that are written anew at every start.
 */
export async function replaceFile(
  path: string,
  content: string | Buffer,
  owner: Owner,
  options: { readonly mode?: number; readonly durability?: 'synced' | 'cached' } = {},
): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}`);
  const handle = await open(partial, 'wx', options.mode ?? 0o600);
  try {
    try {
      await handle.writeFile(content);
      if (owner !== null) await handle.chown(owner.uid, owner.gid);
      if (options.durability !== 'cached') await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  if (options.durability !== 'cached') await syncFolder(dirname(path));
}

/** The text of a file; null when there is none. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
}
