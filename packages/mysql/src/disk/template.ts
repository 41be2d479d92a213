import { createHash, randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '@understudy/engine';
import {
  type CopyOptions,
  copyFolder,
  isThere,
  makeFolder,
  namesIn,
  type Owner,
  removeFile,
  removeTree,
  renameTo,
  replaceFile,
} from '@understudy/engine/host';
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
      await removeFile(initFile);
    }
  },
  mariadb: async (programs, options, target, making, signal) => {
    if (programs.installDb === null) {
      const text = `There is no program "mariadb-install-db" below ${programs.baseDir}.`;
      throw new EngineError('ENGINE_BINARY_MISSING', text, { next: 'Install it; new databases are made with it.' });
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
      await removeFile(lockFile);
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
      throw new EngineError(problem, `Making an empty database failed (exit code ${code}): ${tail(output)}`, {
        retry: 'safe',
      });
    }
    for (const name of await namesIn(partial)) if (personal.test(name)) await removeTree(join(partial, name));
    // Another process may have been quicker: its template is as good.
    await renameTo(partial, path).catch(async (error: unknown) => {
      if (!(await isThere(path))) throw error;
    });
  } finally {
    for (const folder of [partial, `${partial}.tmp`]) await removeTree(folder);
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

/** No file of an empty database is nearly as large. */
const fileBytesMax = 2 * 1024 ** 3;

/** Copies a template for `owner`; blocks are shared where the file system can. @param durability `cached`: of what is thrown away soon */
export function copyTemplate(
  from: string,
  to: string,
  owner: Owner,
  durability: CopyOptions['durability'] = 'synced',
): Promise<void> {
  return copyFolder(from, to, owner, { durability, bytesMax: fileBytesMax });
}
