import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { claimFolder } from '@understudy/engine/host';
import { codeOf, LocalError, reasonOf } from './errors.ts';

/** Replaces a file in one step: a reader, or a crash, sees the old content or the new one. */
export async function replaceFile(path: string, content: string, mode = 0o600): Promise<void> {
  const partial = join(dirname(path), `.${randomBytes(4).toString('hex')}.partial`);
  try {
    const handle = await open(partial, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw new LocalError('FOLDER_UNUSABLE', `Could not write ${path}: ${reasonOf(error)}.`, 'safe', { cause: error });
  }
}

/** The text of a file; null when there is none. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw new LocalError('FOLDER_UNUSABLE', `Could not read ${path}: ${reasonOf(error)}.`, 'safe', { cause: error });
  }
}

/** Makes a folder of ours and those above it; an existing one gets the mode. */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode });
    await claimFolder(path, mode);
  } catch (error) {
    throw unusable(path, error);
  }
}

const unusable = (path: string, error: unknown): LocalError => {
  const text = `Could not make the folder ${path}: ${reasonOf(error)}. Choose another one with --data-dir.`;
  return new LocalError('FOLDER_UNUSABLE', text, 'safe', { cause: error });
};

/**
 * Makes the folder of a cluster. An existing one gets the mode only when nothing but a cluster is in it: it may be anything that somebody has
 * named by mistake.
 *
 * @throws LocalError `FOLDER_UNUSABLE` also when it belongs to another user, or others may change what is in it
 */
export async function makeClusterFolder(path: string, mode: number): Promise<void> {
  requireOwnFolder(path);
  const names = await readdir(path).catch((): string[] => []);
  if (names.length === 0 || names.includes('state.json')) await makeFolder(path, mode);
}

/** @throws LocalError `FOLDER_UNUSABLE` when there is a folder that belongs to another user, or in which others may make names */
export function requireOwnFolder(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  const own = process.geteuid?.() ?? found.uid;
  if (!found.isDirectory())
    throw new LocalError('FOLDER_UNUSABLE', `${path} is not a folder. Choose another one with --data-dir.`);
  if (found.uid !== own) {
    const text = `${path} belongs to user ${found.uid}, and this command runs as user ${own}.`;
    throw new LocalError(
      'FOLDER_UNUSABLE',
      `${text} Run it as that user, or choose a folder of your own with --data-dir.`,
    );
  }
  if ((found.mode & 0o022) === 0) return;
  const text = `Other users may make and replace files in ${path}. Run: chmod go-w ${path}`;
  throw new LocalError('FOLDER_UNUSABLE', `${text}; or choose a folder of your own with --data-dir.`);
}

/** The last lines of a log file, for error messages. */
export async function tailOf(path: string, lines: number): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.slice(-8000).trim().split('\n').slice(-lines).join('\n');
}
