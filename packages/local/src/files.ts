import { statSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { reasonOf } from '@understudy/base';
import { readIfThere, replaceFile } from '@understudy/base/files';
import { claimFolder } from '@understudy/engine/host';
import { LocalError } from './errors.ts';

/** Replaces a file in one step, on the disk. @throws LocalError `FOLDER_UNUSABLE` */
export async function putFile(path: string, content: string): Promise<void> {
  await replaceFile(path, content).catch((cause: unknown) => {
    throw new LocalError('FOLDER_UNUSABLE', `Could not write ${path}: ${reasonOf(cause)}.`, { cause });
  });
}

/** The text of a file; null when there is none. @throws LocalError `FOLDER_UNUSABLE` */
export async function readText(path: string): Promise<string | null> {
  return readIfThere(path).catch((cause: unknown) => {
    throw new LocalError('FOLDER_UNUSABLE', `Could not read ${path}: ${reasonOf(cause)}.`, { cause });
  });
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
  const text = `Could not make the folder ${path}: ${reasonOf(error)}.`;
  return new LocalError('FOLDER_UNUSABLE', text, { next: 'Choose another one with --data-dir.', cause: error });
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
    throw new LocalError('FOLDER_UNUSABLE', `${path} is not a folder.`, {
      next: 'Choose another one with --data-dir.',
    });
  if (found.uid !== own) {
    const text = `${path} belongs to user ${found.uid}, and this command runs as user ${own}.`;
    throw new LocalError('FOLDER_UNUSABLE', text, {
      next: 'Run it as that user, or choose a folder of your own with --data-dir.',
    });
  }
  if ((found.mode & 0o022) === 0) return;
  const next = `Run: chmod go-w ${path}; or choose a folder of your own with --data-dir.`;
  throw new LocalError('FOLDER_UNUSABLE', `Other users may make and replace files in ${path}.`, { next });
}

/** The last lines of a log file, for error messages. */
export async function tailOf(path: string, lines: number): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.slice(-8000).trim().split('\n').slice(-lines).join('\n');
}
