import { chmod, mkdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { codeOf, reasonOf } from '@understudy/base';
import { readIfThere, replaceFile } from '@understudy/base/files';
import { CertError } from './errors.ts';

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

/** Replaces a file in one step, on the disk, and makes the folder that it is in. @throws CertError `CERT_WRITE_FAILED` */
export async function putFile(path: string, content: string, mode: 0o600 | 0o644): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await replaceFile(path, content, mode);
  } catch (error) {
    throw writeFailed(path, error);
  }
}

function writeFailed(path: string, error: unknown): CertError {
  const text = `${path} cannot be written (${briefly(error)}).`;
  return new CertError('CERT_WRITE_FAILED', text, { next: 'Correct the path or its permissions.', cause: error });
}

/** The text of a file; null when there is none. @throws CertError `CERT_UNREADABLE` */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readIfThere(path);
  } catch (error) {
    const next = 'Correct the path or its permissions.';
    const text = `${path} cannot be read (${briefly(error)}).`;
    throw new CertError('CERT_UNREADABLE', text, { retry: 'safe', next, cause: error });
  }
}

/** A system error by its code: the path that its text repeats was named already. */
const briefly = (error: unknown): string => codeOf(error) ?? reasonOf(error);

/** @throws CertError `CERT_EXPOSED` when others than the owner may read the file */
export async function refuseExposed(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found === null || (found.mode & 0o077) === 0) return;
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  throw new CertError('CERT_EXPOSED', `${path}: mode ${mode} lets other users read it.`, {
    next: `Run: chmod 0600 ${path}`,
  });
}
