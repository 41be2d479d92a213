import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '@understudy/base';
import {
  type CopyOptions,
  copyFile,
  type Entry,
  entriesIn,
  isAbsence,
  listFolder,
  makeFolder,
  type Owner,
  requireOwnName,
  syncFolder,
} from './files.ts';
import { atPlace, inFolder, type OpenFolder, PathError, type Rights, rightsInside } from './reach.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
/** Deeper than any data directory. Each level is an open descriptor. */
const levelsMax = 40;
const removeAttempts = 5;

/** Opens a folder in an open folder, and closes it. */
async function below<T>(
  folder: OpenFolder,
  name: string,
  work: (folder: OpenFolder, found: Stats) => Promise<T>,
): Promise<T> {
  const handle: FileHandle = await open(`${folder.at}/${name}`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const found = await handle.stat();
    const rights = rightsInside(folder.rights, found);
    return await work({ path: join(folder.path, name), at: `/proc/self/fd/${handle.fd}`, rights }, found);
  } finally {
    await handle.close();
  }
}

/** What goes with another user's folder: that user's, and an empty one that this process has left there. In a folder of everybody: ours. */
function requireTheirs(path: string, { uid }: Stats, rights: Rights | null, entries: readonly Entry[]): void {
  const isOurs = uid === process.geteuid?.() && (rights === null || rights.uid < 0 || entries.length === 0);
  if (rights === null || uid === rights.uid || isOurs) return;
  throw new PathError(path, `is a folder of user ${uid} in one of user ${rights.uid}`);
}

function tooDeep(folder: OpenFolder, level: number): void {
  if (level > levelsMax) throw new PathError(folder.path, `is more than ${levelsMax} folders deep`);
}

/** Removes a file, or a folder with everything in it. It need not be there. Never goes into another folder by a link. */
export async function removeTree(path: string): Promise<void> {
  await atPlace(path, 'keep', async (place) => {
    const { at, folder, rights } = place;
    await requireOwnName(place);
    const found = await lstat(at).catch((error: unknown) => {
      if (isAbsence(error)) return null;
      throw error;
    });
    if (found === null) return;
    const name = at.slice(at.lastIndexOf('/') + 1);
    await removeName(
      { path: join(path, '..'), at: folder, rights },
      { name, kind: found.isDirectory() ? 'folder' : 'file' },
      0,
    );
  }).catch((error: unknown) => {
    if (!isAbsence(error)) throw error;
  });
}

async function removeName(folder: OpenFolder, { name, kind }: Entry, level: number): Promise<void> {
  const at = `${folder.at}/${name}`;
  tooDeep(folder, level);
  for (let attempt = 1; ; attempt++) {
    try {
      if (kind !== 'folder') await unlink(at);
      else {
        await below(folder, name, async (inside, found) => {
          const entries = await entriesIn({ ...inside, rights: null });
          requireTheirs(inside.path, found, folder.rights, entries);
          for (const entry of entries) await removeName(inside, entry, level + 1);
        });
        await rmdir(at);
      }
      return;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return;
      // A process that is just ending may still make files.
      if (codeOf(error) !== 'ENOTEMPTY' || attempt === removeAttempts) throw error;
    }
  }
}

/** Size of a folder on disk in bytes, without following links. What vanishes meanwhile, or cannot be entered, is left out. */
export async function folderBytes(path: string): Promise<number> {
  const found = await atPlace(path, 'keep', ({ at }) => lstat(at)).catch((error: unknown) => {
    if (isAbsence(error)) return null;
    throw error;
  });
  if (found === null) return 0;
  const own = found.blocks * 512;
  return found.isDirectory() ? own + (await inFolder(path, (folder) => bytesIn(folder, 0))) : own;
}

async function bytesIn(folder: OpenFolder, level: number): Promise<number> {
  tooDeep(folder, level);
  let bytes = 0;
  for (const { name, kind } of await entriesIn(folder)) {
    try {
      bytes += (await lstat(`${folder.at}/${name}`)).blocks * 512;
      if (kind === 'folder') bytes += await below(folder, name, (inside) => bytesIn(inside, level + 1));
    } catch (error) {
      if (!isAbsence(error) && !(error instanceof PathError)) throw error;
    }
  }
  return bytes;
}

/** Copies a folder with the folders and files below it for `owner`; links and the like are left out. `bytesMax` is of each file. */
export async function copyFolder(from: string, to: string, owner: Owner, options: CopyOptions): Promise<void> {
  await makeFolder(to, owner);
  for (const { name, kind } of await listFolder(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (kind === 'folder') await copyFolder(source, target, owner, options);
    else if (kind === 'file') await copyFile(source, target, owner, options);
  }
  if (options.durability !== 'cached') await syncFolder(to);
}

/** Makes every file below a folder, and the folders themselves, survive a loss of power. */
export async function syncTree(path: string): Promise<void> {
  await inFolder(path, (folder) => syncIn(folder, 0));
}

async function syncIn(folder: OpenFolder, level: number): Promise<void> {
  tooDeep(folder, level);
  for (const { name, kind } of await entriesIn(folder)) {
    if (kind === 'folder') await below(folder, name, (inside) => syncIn(inside, level + 1));
    else if (kind === 'file') await syncAt(`${folder.at}/${name}`);
  }
  await syncAt(`${folder.at}/.`);
}

async function syncAt(at: string): Promise<void> {
  const file = await open(at, O_RDONLY | O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
