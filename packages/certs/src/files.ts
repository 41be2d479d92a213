import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CertError, reasonOf } from './errors.ts';

/** A certificate and the key that belongs to it. */
export interface PairPaths {
  readonly cert: string;
  readonly key: string;
}

/** The two files of an authority: `ca.pem`, which goes everywhere, and `ca.key`, which never leaves this folder. */
export function authorityPaths(folder: string): PairPaths {
  const at = resolve(folder);
  return { cert: join(at, 'ca.pem'), key: join(at, 'ca.key') };
}

/** The two files of a certificate: `PREFIX.pem` and `PREFIX.key`. */
export function pairPaths(prefix: string): PairPaths {
  const at = resolve(prefix);
  return { cert: `${at}.pem`, key: `${at}.key` };
}

/** Makes the folder of an authority, for its owner alone. @throws CertError `CERT_WRITE_FAILED` */
export async function makePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
  } catch (error) {
    throw writeFailed(folder, error);
  }
}

/** Replaces a file in one step, on the disk: a reader, or a crash, sees the old content or the new one. */
export async function replaceFile(path: string, content: string, mode: 0o600 | 0o644): Promise<void> {
  const folder = dirname(path);
  const partial = join(folder, `.${randomBytes(6).toString('hex')}.partial`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const handle = await open(partial, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
    const above = await open(folder, 'r');
    try {
      await above.sync();
    } finally {
      await above.close();
    }
  } catch (error) {
    await rm(partial, { force: true });
    throw writeFailed(path, error);
  }
}

function writeFailed(path: string, error: unknown): CertError {
  const text = `${path} cannot be written (${reasonOf(error)}). Correct the path or its permissions.`;
  return new CertError('CERT_WRITE_FAILED', text, 'safe', { cause: error });
}

/** The text of a file; null when there is none. @throws CertError `CERT_UNREADABLE` */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return null;
    const text = `${path} cannot be read (${reasonOf(error)}). Correct the path or its permissions.`;
    throw new CertError('CERT_UNREADABLE', text, 'safe', { cause: error });
  }
}

/** @throws CertError `CERT_EXPOSED` when others than the owner may read the file */
export async function refuseExposed(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found === null || (found.mode & 0o077) === 0) return;
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  throw new CertError('CERT_EXPOSED', `${path}: mode ${mode} lets other users read it. Run: chmod 0600 ${path}`);
}
