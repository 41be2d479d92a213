import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import {
  chmod,
  copyFile as copyBytes,
  type FileHandle,
  lstat,
  mkdir,
  open,
  opendir,
  readdir,
  rename,
  stat,
  statfs,
  symlink,
  unlink,
} from 'node:fs/promises';
import { basename } from 'node:path';
import { codeOf } from '@understudy/base';
import {
  atPlace,
  ENTER,
  inFolder,
  isRoot,
  may,
  type OpenFolder,
  PathError,
  type Place,
  READ,
  type Rights,
  WRITE,
} from './reach.ts';

/**
 * Everything that is done with files which another user can exchange: the data and run directories of a server belong to the server's user,
 * and its agent may be root. No link is followed there, nothing but a regular file is opened, nothing waits for a reader or writer, and
 * only what that user could do itself is done. Elsewhere, and for an agent that is no root, these are the usual operations.
 */

/** Whom files must belong to: the user that runs the server, or null for this process's own. In a folder of another user: that user. */
export type Owner = Rights | null;

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const mebi = 1024 ** 2;
/** No file that is read as a whole is nearly as large. */
const readBytesMax = 16 * mebi;
/** More names than a server makes. */
const namesMax = 2_000_000;

/** An absent name is not a failure to most callers. */
export const isAbsence = (error: unknown): boolean => codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';

function absent(error: unknown): null {
  if (isAbsence(error)) return null;
  throw error;
}

const ownerIn = ({ rights }: Place, owner: Owner): Owner =>
  owner ?? (rights !== null && rights.uid >= 0 ? rights : null);

/** Makes sure that an open file is one, and that whoever could have put it there may do with it what we are about to. */
async function requireFile(file: FileHandle, { path, rights }: Place, wanted: number): Promise<Stats> {
  const found = await file.stat();
  if (!found.isFile()) throw new PathError(path, 'is not a regular file');
  if (!may(found, rights, wanted)) {
    const what = wanted === READ ? 'read' : 'write';
    throw new PathError(path, `is a file that the user of its folder (${rights?.uid}) cannot ${what}`);
  }
  return found;
}

/** Opens what is there already. */
async function openThere(place: Place, flags: number, wanted: number): Promise<FileHandle> {
  const file = await open(place.at, flags | O_NONBLOCK | (isRoot() ? O_NOFOLLOW : 0)).catch((error: unknown) => {
    const code = codeOf(error);
    if (code === 'ELOOP' || code === 'ENXIO' || code === 'EISDIR')
      throw new PathError(place.path, 'is not a regular file');
    throw error;
  });
  try {
    await requireFile(file, place, wanted);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Makes a file that nobody else has open. */
async function openNew(place: Place, owner: Owner, mode: number): Promise<FileHandle> {
  await requireOwnFolder(place);
  const file = await open(place.at, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  const wanted = ownerIn(place, owner);
  try {
    if (wanted !== null) await file.chown(wanted.uid, wanted.gid);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Making, removing and renaming where another user can exchange folders: only in a folder whose names that user may change. One of root's
 * may have been put in the place of it.
 */
async function requireOwnFolder({ folder, path, rights }: Place): Promise<void> {
  if (rights === null || rights.uid < 0 || may(await stat(folder), rights, WRITE | ENTER)) return;
  throw new PathError(path, `is in a folder that user ${rights.uid} cannot change`);
}

/** Removing and renaming in a folder where everybody may make names: only what is ours. */
export async function requireOwnName(place: Place): Promise<void> {
  const { at, path, rights } = place;
  await requireOwnFolder(place);
  if (rights === null || rights.uid >= 0) return;
  const found = await lstat(at).catch(absent);
  if (found !== null && found.uid !== process.geteuid?.())
    throw new PathError(path, 'is in a folder of everybody and not ours');
}

/**
 * Opens a file to be read.
 *
 * @param by who has named it, when its path comes from a file of that user's.
 * @throws PathError when it is not a regular file, or not one for that user; system errors
 */
export function openToRead(path: string, by: Owner = null): Promise<FileHandle> {
  return atPlace(path, 'follow', (place) => openThere(place, O_RDONLY, READ), by);
}

/** Opens a file to be read and changed in place. @throws as `openToRead` */
export function openToChange(path: string): Promise<FileHandle> {
  return atPlace(path, 'keep', (place) => openThere(place, O_RDWR | O_NOFOLLOW, READ | WRITE));
}

/** Works with an open file, and closes it. */
export async function withFile<T>(file: Promise<FileHandle>, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const opened = await file;
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

/** Reads up to `bytes` bytes from a place in a file. */
export async function readAt(file: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.max(0, bytes));
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/** The content of a file. @throws PathError also when it is larger than `bytesMax` */
export function readBytes(path: string, bytesMax = readBytesMax): Promise<Buffer> {
  return withFile(openToRead(path), async (file) => {
    const { size } = await file.stat();
    if (size > bytesMax) throw new PathError(path, `is larger than ${bytesMax} bytes`);
    // It may grow meanwhile.
    return readAt(file, 0, Math.min(size + 1, bytesMax));
  });
}

/** The text of a file; null when there is none. @throws as `readBytes` */
export async function readIfThere(path: string, bytesMax = readBytesMax): Promise<string | null> {
  const bytes = await readBytes(path, bytesMax).catch(absent);
  return bytes === null ? null : bytes.toString('utf8');
}

/** The end of a file, at most `bytes` of it. @param from nothing before this place, unless the file has become shorter since */
export function readEnd(path: string, bytes: number, from = 0, by: Owner = null) {
  return withFile(openToRead(path, by), async (file) => {
    const { size, mtimeMs } = await file.stat();
    const begin = Math.max(size < from ? 0 : from, size - bytes, 0);
    return { size, mtimeMs, text: (await readAt(file, begin, Math.min(bytes, size - begin))).toString('utf8') };
  });
}

/** What is at a name, without following a link; null when nothing is. */
export function entryAt(path: string): Promise<Stats | null> {
  return atPlace(path, 'keep', ({ at }) => lstat(at)).catch(absent);
}

/** Whether there is anything of that name. */
export const isThere = async (path: string): Promise<boolean> => (await entryAt(path)) !== null;

export interface Entry {
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
}

/** What is in an open folder, in no order. @throws PathError when that user could not list it */
export async function entriesIn({ at, path, rights }: OpenFolder): Promise<readonly Entry[]> {
  const found: Entry[] = [];
  if (rights !== null && !may(await lstat(`${at}/.`), rights, READ)) {
    throw new PathError(path, `is a folder that user ${rights.uid} cannot list`);
  }
  for await (const entry of await opendir(`${at}/.`, { bufferSize: 1024 })) {
    const kind = entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : entry.isSymbolicLink() ? 'link' : 'other';
    found.push({ name: entry.name, kind });
    if (found.length > namesMax) throw new PathError(path, `holds more than ${namesMax} names`);
  }
  return found;
}

/** What is in a folder, in no order. @throws PathError; `ENOENT` when there is none */
export function listFolder(path: string): Promise<readonly Entry[]> {
  return inFolder(path, entriesIn);
}

/** The names in a folder, in no order. @throws as `listFolder` */
export async function namesIn(path: string): Promise<readonly string[]> {
  return (await listFolder(path)).map(({ name }) => name);
}

const openFolderAt = (at: string): Promise<FileHandle> => open(at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);

/** Makes a folder (and nothing above it) with this owner and mode; an existing one is kept. */
export async function makeFolder(path: string, owner: Owner, mode = 0o700): Promise<void> {
  await atPlace(path, 'keep', async (place) => {
    try {
      if ((await lstat(place.at).catch(absent)) === null) await requireOwnFolder(place);
      await mkdir(place.at, { mode });
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return;
      throw error;
    }
    const wanted = ownerIn(place, owner);
    if (wanted === null) return;
    await withFile(openFolderAt(place.at), async (folder) => {
      // Of whoever else it is, or with something in it, it is not the one that was just made.
      const isOurs = (await folder.stat()).uid === process.geteuid?.();
      const isEmpty = (await readdir(`/proc/self/fd/${folder.fd}`)).length === 0;
      if (isOurs && isEmpty) await folder.chown(wanted.uid, wanted.gid);
    });
  });
}

/** Sets the mode of a folder, which must belong to the user of the folder that it is in, or to us. */
export async function setFolderMode(path: string, mode: number): Promise<void> {
  await atPlace(path, 'keep', async ({ at, rights }) =>
    withFile(openFolderAt(at), async (folder) => {
      const { uid } = await folder.stat();
      if (rights !== null && uid !== rights.uid) throw new PathError(path, `is a folder of user ${uid}`);
      await folder.chmod(mode);
    }),
  );
}

/**
 * Gives a folder of this process's own a mode. Trusted links to it are followed.
 *
 * @throws PathError when it belongs to another user, or when everybody may make names in it
 */
export async function claimFolder(path: string, mode: number): Promise<void> {
  await inFolder(path, async ({ at }) => {
    const { uid, mode: present } = await stat(`${at}/.`);
    if (uid !== process.geteuid?.()) throw new PathError(path, `is a folder of user ${uid}`);
    if ((present & 0o1000) !== 0) throw new PathError(path, 'is a folder where everybody may make names');
    if ((present & 0o7777) !== mode) await chmod(`${at}/.`, mode);
  });
}

const syncAt = (at: string): Promise<void> =>
  withFile(open(`${at}/.`, O_RDONLY | O_DIRECTORY), (folder) => folder.sync());

/** Makes a rename or a removal in `folder` survive a loss of power. */
export async function syncFolder(folder: string): Promise<void> {
  await inFolder(folder, ({ at }) => syncAt(at));
}

/** Makes what is written in a file survive a loss of power. */
export async function syncFile(path: string): Promise<void> {
  await withFile(openToRead(path), (file) => file.sync());
}

export interface WriteOptions {
  readonly mode?: number;
  /** `synced`: survives a loss of power when this resolves. `cached`: for files that are written anew at every start. */
  readonly durability?: 'synced' | 'cached';
}

/** Writes a new file beside a place with `write`, and then puts it in that place. */
async function replaceAt<T>(
  place: Place,
  owner: Owner,
  { mode = 0o600, durability = 'synced' }: WriteOptions,
  write: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const partial = `${place.folder}/.${basename(place.path)}.${randomBytes(4).toString('hex')}`;
  await requireOwnName(place);
  const file = await openNew({ ...place, at: partial }, owner, mode);
  try {
    try {
      const result = await write(file);
      if (durability === 'synced') await file.sync();
      await rename(partial, place.at);
      if (durability === 'synced') await syncAt(place.folder);
      return result;
    } finally {
      await file.close();
    }
  } catch (error) {
    await unlink(partial).catch(() => undefined);
    throw error;
  }
}

/** Replaces a file in one step: a reader, or a crash, sees the old content or the new one. */
export async function replaceFile(
  path: string,
  content: string | Buffer,
  owner: Owner,
  options: WriteOptions = {},
): Promise<void> {
  await replaceWith(path, owner, options, (file) => file.writeFile(content));
}

/** As `replaceFile`, with content that is written bit by bit. @returns what `write` does */
export function replaceWith<T>(
  path: string,
  owner: Owner,
  options: WriteOptions,
  write: (file: FileHandle) => Promise<T>,
): Promise<T> {
  return atPlace(path, 'keep', (place) => replaceAt(place, owner, options, write));
}

/** Makes a file that must not be there yet. The caller closes it. */
export function createFile(path: string, owner: Owner, mode = 0o600): Promise<FileHandle> {
  return atPlace(path, 'keep', (place) => openNew(place, owner, mode));
}

export interface CopyOptions {
  readonly durability?: 'synced' | 'cached';
  /** Larger than this is nothing that was put there rightfully. */
  readonly bytesMax: number;
}

/**
 * Copies a file, without what others may do with it; blocks are shared where the file system can. There must be none of the new name.
 *
 * @throws PathError also when it is larger than it may be
 */
export async function copyFile(from: string, to: string, owner: Owner, options: CopyOptions): Promise<void> {
  const { bytesMax, durability = 'synced' } = options;
  await withFile(openToRead(from), async (source) => {
    if ((await source.stat()).size > bytesMax) throw new PathError(from, `is larger than ${bytesMax} bytes`);
    await withFile(createFile(to, owner), async (target) => {
      // By their descriptors: the names may be others by now.
      await copyBytes(`/proc/self/fd/${source.fd}`, `/proc/self/fd/${target.fd}`, constants.COPYFILE_FICLONE);
      await target.chmod(0o600);
      if (owner !== null) await target.chown(owner.uid, owner.gid);
      if (durability === 'synced') await target.sync();
    });
  });
}

/** Removes a file, a link or whatever else has that name and is no folder. It need not be there. */
export async function removeFile(path: string): Promise<void> {
  await atPlace(path, 'keep', async (place) => {
    await requireOwnName(place);
    await unlink(place.at);
  }).catch(absent);
}

/** Gives a file or folder another name, on the same file system. */
export async function renameTo(from: string, to: string): Promise<void> {
  await atPlace(from, 'keep', async (source) =>
    atPlace(to, 'keep', async (target) => {
      for (const place of [source, target]) await requireOwnName(place);
      await rename(source.at, target.at);
    }),
  );
}

/** Makes a link. */
export async function makeLink(path: string, to: string): Promise<void> {
  await atPlace(path, 'keep', ({ at }) => symlink(to, at));
}

/** Bytes that are free where a folder is. */
export function freeBytes(folder: string): Promise<number> {
  return inFolder(folder, async ({ at }) => {
    const { bavail, bsize } = await statfs(`${at}/.`);
    return bavail * bsize;
  });
}

/** Of what somebody has put in the place of a log: nothing is lost by moving it, and a server must be able to start. */
const oddName = (path: string): string => `${path}.odd-${randomBytes(4).toString('hex')}`;

/**
 * Opens a server's log, to which is only ever appended; made where it is missing, and begun anew (the old one is `FILE.1`) when it is larger
 * than `bytesMax`. Whatever else has its name is moved out of the way.
 */
export async function openLog(path: string, owner: Owner, bytesMax: number): Promise<FileHandle> {
  for (let attempt = 0; ; attempt++) {
    const made = await atPlace(path, 'keep', (place) => openNewLog(place, owner)).catch((error: unknown) => {
      if (codeOf(error) === 'EEXIST') return null;
      throw error;
    });
    if (made !== null) return made;
    const log = await openOldLog(path).catch((error: unknown) => {
      if (attempt < 3 && (error instanceof PathError || isAbsence(error))) return null;
      throw error;
    });
    if (log === null) {
      await renameTo(path, oddName(path)).catch(absent);
      continue;
    }
    if (attempt === 3 || (await log.stat()).size <= bytesMax) return log;
    await log.close();
    // What is no file there cannot be replaced by one.
    await renameTo(path, `${path}.1`).catch(() => renameTo(path, oddName(path)));
  }
}

async function openNewLog(place: Place, owner: Owner): Promise<FileHandle> {
  const made = await openNew(place, owner, 0o600);
  await made.close();
  return openThere(place, O_WRONLY | O_APPEND | O_NOFOLLOW, WRITE);
}

const openOldLog = (path: string): Promise<FileHandle> =>
  atPlace(path, 'keep', (place) => openThere(place, O_WRONLY | O_APPEND | O_NOFOLLOW, WRITE));

/** How much of a log is kept when it is emptied. */
const keptBytes = 32 * mebi;

/**
 * Keeps a log to which a running server appends from filling the disk: its end goes to `FILE.1`, and the file is emptied under the server.
 *
 * @throws PathError when it is no file of the server's user
 */
export async function boundLog(path: string, owner: Owner, bytesMax: number): Promise<void> {
  await atPlace(path, 'keep', async (place) => {
    const file = await openThere(place, O_RDWR | O_NOFOLLOW, READ | WRITE).catch(absent);
    if (file === null) return;
    try {
      const { size } = await file.stat();
      if (size <= bytesMax) return;
      const old = { ...place, path: `${path}.1`, at: `${place.at}.1` };
      await replaceAt(old, owner, { durability: 'cached' }, (copy) => copyEnd(file, copy, size));
      await file.truncate(0);
    } finally {
      await file.close();
    }
  });
}

async function copyEnd(from: FileHandle, to: FileHandle, size: number): Promise<void> {
  for (let at = Math.max(0, size - keptBytes); at < size; ) {
    const piece = await readAt(from, at, Math.min(mebi, size - at));
    if (piece.length === 0) return;
    await to.writeFile(piece);
    at += piece.length;
  }
}
