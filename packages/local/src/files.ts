import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
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

/** Makes a folder and those above it; an existing one gets the mode. */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode });
    await chmod(path, mode);
  } catch (error) {
    const text = `Could not make the folder ${path}: ${reasonOf(error)}. Choose another one with --data-dir.`;
    throw new LocalError('FOLDER_UNUSABLE', text, 'safe', { cause: error });
  }
}

/** The last lines of a log file, for error messages. */
export async function tailOf(path: string, lines: number): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.slice(-8000).trim().split('\n').slice(-lines).join('\n');
}
