import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { codeOf, reasonOf } from '@understudy/base';
import { ServersError } from './errors.ts';
import { cacheFolders } from './folders.ts';
import { run } from './run.ts';
import { groupOf } from './user.ts';

const copiesFolder = '/var/tmp';

/**
 * Makes sure that another user can run the programs of a folder.
 *
 * As root, in a checkout below a 0700 home, the user that runs PostgreSQL cannot reach the binaries. They are then copied
 * (once for each version, about 60 MB) to `/var/tmp/understudy-bin-<hash>`, owned by root and writable by nobody else.
 *
 * @param binDir folder of the programs; the installation around it is copied with it.
 * @param uid who has to run them.
 * @param programs names in that folder that have to be reachable; without it, every file of the folder.
 * @returns `binDir` itself when it is reachable (always so when this process is not root), otherwise that of the copy.
 * @throws ServersError `UNREACHABLE` when a copy could not be made, or a folder of that name is not ours.
 */
export async function makeReachable(binDir: string, uid: number, programs?: readonly string[]): Promise<string> {
  if (process.getuid?.() !== 0 || uid === 0 || (await canRunAll(binDir, uid, programs))) return binDir;
  const root = await installationRoot(binDir);
  const copy = join(copiesFolder, `understudy-bin-${await fingerprint(root, binDir)}`);
  if (!(await isOurs(copy))) await copyTree(root, copy);
  const copied = join(copy, relative(root, await realpath(binDir)));
  if (await canRunAll(copied, uid, programs)) return copied;
  const text = `User ${uid} can run neither ${binDir} nor its copy ${copied} (is ${copiesFolder} mounted noexec?).`;
  throw new ServersError('UNREACHABLE', text, { next: 'Move the checkout to a folder that every user can enter.' });
}

/** Asks the kernel, as that user: covers folder modes, ACLs and mount options alike. */
async function canRunAll(binDir: string, uid: number, programs?: readonly string[]): Promise<boolean> {
  const files = (programs ?? (await readdir(binDir))).map((name) => join(binDir, name));
  const script = 'for f; do [ -r "$f" ] && [ -x "$f" ] || exit 1; done';
  const user = { uid, gid: groupOf(uid) };
  const result = await run('/bin/sh', ['-c', script, 'sh', ...files], { user, timeoutMs: 10_000 });
  return result.code === 0;
}

/** The folder that must be copied whole, because programs find their libraries and share folder relative to themselves. */
async function installationRoot(binDir: string): Promise<string> {
  const real = await realpath(binDir);
  for (const cache of cacheFolders()) {
    const below = relative(await realpath(cache).catch(() => cache), real);
    const first = below.split(sep)[0];
    if (first !== undefined && first !== '' && first !== '..') {
      return real.slice(0, real.length - below.length + first.length);
    }
  }
  const root = dirname(real);
  if (['/', '/usr', '/usr/local', '/opt'].includes(root)) {
    const text = `Some programs in ${binDir} cannot be run by everybody, and a folder of the system is not copied.`;
    throw new ServersError('UNREACHABLE', text, { next: 'Give them read and execute permission for others.' });
  }
  await requireOnlyServer(root, basename(real));
  return root;
}

/** What lies in the folder of a server that was unpacked or built, beside its programs. */
const partsOfServers = new Set([
  ...'bin sbin scripts lib lib32 lib64 libexec share include etc man doc docs'.split(' '),
  ...'support-files mysql-test mariadb-test sql-bench'.split(' '),
  // Of the npm package of PostgreSQL.
  'pg-symlinks.json',
]);
const aboutServers = /^(README|LICENSE|COPYING|COPYRIGHT|INSTALL|CREDITS|NOTICE|THIRDPARTY|EXCEPTIONS|VERSION)/;

/**
 * The copy can be read by everybody: only a server goes into it, and nothing that its user has closed to others beside it.
 *
 * @throws ServersError `UNREACHABLE` that names what is no part of a server
 */
async function requireOnlyServer(root: string, binFolder: string): Promise<void> {
  const strange = (await readdir(root)).find(
    (name) => name !== binFolder && !partsOfServers.has(name) && !aboutServers.test(name),
  );
  const isHome = (await homes()).has(root);
  if (strange === undefined && !isHome) return;
  const why = isHome ? 'it is the home of a user' : `"${strange}" there is no part of a server`;
  const text = `The server's user can run nothing in ${root}, and it is not copied for it, as everybody could read the copy: ${why}.`;
  const next = 'Name a folder that holds a server and nothing else, or let others read and run it.';
  throw new ServersError('UNREACHABLE', text, { next });
}

async function homes(): Promise<ReadonlySet<string>> {
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return new Set(users.split('\n').flatMap((line) => line.split(':')[5] ?? []));
}

async function fingerprint(root: string, binDir: string): Promise<string> {
  const hash = createHash('sha256').update(root);
  for (const name of (await readdir(binDir)).sort()) {
    const { size, mtimeMs } = await stat(join(binDir, name));
    hash.update(`\n${name} ${size} ${Math.trunc(mtimeMs)}`);
  }
  return hash.digest('hex').slice(0, 16);
}

/** True for a copy made earlier; anyone may create names in /var/tmp, so a folder that is not root's own is refused. */
async function isOurs(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (found === null) return false;
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return true;
  const text = `${folder} is not a folder of root's own, so its programs are not trusted.`;
  throw new ServersError('UNREACHABLE', text, { retry: 'safe', next: 'Remove it and try again.' });
}

async function copyTree(root: string, target: string): Promise<void> {
  const partial = join(copiesFolder, `.${basename(target)}-${randomBytes(6).toString('hex')}`);
  try {
    await copyReadable(root, partial);
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another process finished the same copy first: its folder is used after the same checks.
    if (['ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '') && (await isOurs(target))) return;
    const text = `Could not copy ${root} to ${target}: ${reasonOf(error)}.`;
    throw new ServersError('UNREACHABLE', text, {
      retry: 'safe',
      next: 'Make room there, or move the checkout.',
      cause: error,
    });
  }
}

async function copyReadable(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) await copyReadable(source, target);
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), target);
    else if (entry.isFile()) {
      await copyFile(source, target, constants.COPYFILE_EXCL);
      await chmod(target, ((await stat(source)).mode & 0o111) === 0 ? 0o644 : 0o755);
    }
  }
  await chmod(to, 0o755);
}

/** Gives everybody read access to a tree that was unpacked under a strict umask, so that a server user can run it. */
export async function makeReadable(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await makeReadable(path);
    else if (entry.isFile()) await chmod(path, ((await stat(path)).mode & 0o111) === 0 ? 0o644 : 0o755);
  }
  await chmod(folder, 0o755);
}
