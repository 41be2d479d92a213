import { createHash, randomBytes } from 'node:crypto';
import { constants, copyFile, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '@understudy/engine';
import { makeFolder, type Owner, replaceFile, syncFolder } from '@understudy/engine/host';
import { plainValue } from '../config/at-making.ts';
import type { Parameters } from '../config/file.ts';
import { isDiskFull } from '../errors.ts';
import type { MysqlOptions } from '../options.ts';
import { runProgram, tail } from '../process/program.ts';
import type { Flavour, ServerPrograms } from '../programs.ts';

const makeTimeoutMs = 120_000;

/** What belongs to one server alone: every copy of the template gets its own. */
const personal = /^(auto\.cnf|.*\.pem|binlog\..*|mysql\.sock.*|.*\.err)$/;

/** Nobody is to log in without a password; accounts are made at the first start, where they are needed. */
const lockRoot: Readonly<Record<Flavour, string>> = {
  mysql: 'ALTER USER root@localhost ACCOUNT LOCK;\n',
  // While it is made, the server takes no statements about accounts.
  mariadb: "UPDATE mysql.global_priv SET Priv = JSON_SET(Priv, '$.account_locked', true) WHERE User = 'root';\n",
};

/** Runs the program that makes an empty database at `target`. */
type Maker = (
  programs: ServerPrograms,
  options: MysqlOptions,
  target: string,
  making: readonly string[],
  signal: AbortSignal,
) => Promise<{ readonly code: number | null; readonly output: string }>;

function run(program: string, args: readonly string[], options: MysqlOptions, home: string, signal: AbortSignal) {
  const { libraryPath } = options.binaries;
  const failure = 'ENGINE_START_FAILED';
  return runProgram(program, args, {
    home,
    libraryPath,
    owner: options.runAs,
    timeoutMs: makeTimeoutMs,
    signal,
    failure,
  });
}

const asRoot = (options: MysqlOptions): readonly string[] =>
  process.getuid?.() === 0 && options.runAs === null ? ['--user=root'] : [];

const makers: Readonly<Record<Flavour, Maker>> = {
  mysql: async (programs, options, target, making, signal) => {
    const initFile = `${target}.sql`;
    await replaceFile(initFile, lockRoot.mysql, options.runAs);
    // A small redo log: it is part of what is copied, and grows at the first start.
    const args = ['--innodb-redo-log-capacity=8M', '--mysqlx=OFF', '--performance-schema=OFF', '--disable-log-bin'];
    const place = [
      `--basedir=${programs.baseDir}`,
      `--datadir=${target}`,
      `--init-file=${initFile}`,
      `--tmpdir=${target}.tmp`,
    ];
    try {
      const all = ['--no-defaults', '--initialize-insecure', ...place, ...args, ...making, ...asRoot(options)];
      return await run(programs.server, all, options, target, signal);
    } finally {
      await rm(initFile, { force: true });
    }
  },
  mariadb: async (programs, options, target, making, signal) => {
    if (programs.installDb === null) {
      const text = `There is no program "mariadb-install-db" below ${programs.baseDir}. Install it; new databases are made with it.`;
      throw new EngineError('ENGINE_BINARY_MISSING', text, 'safe');
    }
    const lockFile = `${target}.sql`;
    await replaceFile(lockFile, lockRoot.mariadb, options.runAs);
    const args = ['--skip-test-db', '--auth-root-authentication-method=normal', '--innodb-log-file-size=4M'];
    const place = [
      `--basedir=${programs.baseDir}`,
      `--datadir=${target}`,
      `--extra-file=${lockFile}`,
      `--tmpdir=${target}.tmp`,
    ];
    try {
      return await run(
        programs.installDb,
        ['--no-defaults', ...place, ...args, ...making, ...asRoot(options)],
        options,
        target,
        signal,
      );
    } finally {
      await rm(lockFile, { force: true });
    }
  },
};

/**
 * The template of a new database for these programs, made once for each version: copying it takes a tenth of the time.
 *
 * @param made parameters that count only when a database is made; there is a template for each choice of them.
 * @returns its path. @throws EngineError `ENGINE_START_FAILED`, `ENGINE_DISK_FULL`.
 */
export async function ensureTemplate(
  programs: ServerPrograms,
  options: MysqlOptions,
  signal: AbortSignal,
  made: Parameters = {},
): Promise<string> {
  const { cacheDir, runAs } = options;
  const kind = `${programs.flavour}-${programs.version}-${runAs?.uid ?? 'own'}${suffixOf(made)}`;
  const path = join(cacheDir, `template-1-${kind}`);
  if (await isThere(path)) return path;
  await mkdir(cacheDir, { recursive: true });
  const partial = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    await makeFolder(partial, runAs);
    await makeFolder(`${partial}.tmp`, runAs);
    const { code, output } = await makers[programs.flavour](programs, options, partial, argumentsOf(made), signal);
    if (code !== 0) {
      const problem = isDiskFull(new Error(output)) ? 'ENGINE_DISK_FULL' : 'ENGINE_START_FAILED';
      throw new EngineError(problem, `Making an empty database failed (exit code ${code}): ${tail(output)}`, 'safe');
    }
    for (const name of await readdir(partial)) if (personal.test(name)) await rm(join(partial, name), { force: true });
    // Another process may have been quicker: its template is as good.
    await rename(partial, path).catch(async (error: unknown) => {
      if (!(await isThere(path))) throw error;
    });
  } finally {
    for (const folder of [partial, `${partial}.tmp`]) await rm(folder, { recursive: true, force: true });
  }
  return path;
}

const argumentsOf = (made: Parameters): readonly string[] =>
  Object.entries(made).map(([name, value]) => `--${name.replaceAll('_', '-')}=${value}`);

/** Short, as the folder's name is part of paths that have a limit. */
function suffixOf(made: Parameters): string {
  const entries = Object.entries(made)
    .map(([name, value]) => `${name}=${plainValue(value)}`)
    .sort();
  if (entries.length === 0) return '';
  return `-${createHash('sha256').update(entries.join('\n')).digest('hex').slice(0, 12)}`;
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** `cached`: of what is thrown away soon; otherwise it survives a loss of power. */
type Durability = 'durable' | 'cached';

/** Copies one file for `owner`; blocks are shared where the file system can. */
export async function copyFileFor(
  source: string,
  target: string,
  owner: Owner,
  durability: Durability = 'durable',
): Promise<void> {
  await copyFile(source, target, constants.COPYFILE_FICLONE);
  const handle = await open(target, 'r');
  try {
    if (owner !== null) await handle.chown(owner.uid, owner.gid);
    if (durability === 'durable') await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Copies a folder with everything below it for `owner`; blocks are shared where the file system can. */
export async function copyFolder(
  from: string,
  to: string,
  owner: Owner,
  durability: Durability = 'durable',
): Promise<void> {
  await makeFolder(to, owner);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyFolder(source, target, owner, durability);
    else if (entry.isFile()) await copyFileFor(source, target, owner, durability);
  }
  if (durability === 'durable') await syncFolder(to);
}
