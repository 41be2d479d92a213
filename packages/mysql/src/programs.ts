import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '@understudy/engine';
import type { MysqlOptions } from './options.ts';
import { runProgram, tail } from './process/program.ts';

/** The product whose programs these are: it decides how they are started and how a new database is made, nothing else. */
export type Flavour = 'mysql' | 'mariadb';

/** The installed programs of one server. */
export interface ServerPrograms {
  readonly flavour: Flavour;
  /** `9.7.4`, `11.8.6`. */
  readonly version: string;
  /** `mysqld` or `mariadbd`. */
  readonly server: string;
  readonly baseDir: string;
  readonly libraryPath: string | undefined;
  /** Programs of the same product that are there; null when not installed. */
  readonly installDb: string | null;
  readonly dump: string | null;
  readonly client: string | null;
  /** `mariadb-backup`, which copies the files of a running server, and `mbstream`, which unpacks what it streams. */
  readonly backup: string | null;
  readonly unpack: string | null;
  /** Writes what binary logs hold as statements. */
  readonly binlog: string | null;
}

const folders = ['sbin', 'bin', 'libexec'];
/** The oldest versions that have the settings and statements that we use. */
const oldest: Readonly<Record<Flavour, string>> = { mysql: '8.0.30', mariadb: '10.11.0' };

async function firstProgram(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    const there = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (there) return path;
  }
  return null;
}

const candidates = (baseDir: string, names: readonly string[]): readonly string[] =>
  names.flatMap((name) => folders.map((folder) => join(baseDir, folder, name)));

/**
 * Finds a server's programs below `baseDir` and asks the server which one it is.
 *
 * @throws EngineError `ENGINE_BINARY_MISSING` when there is none, it does not run, or it is too old.
 */
export async function findPrograms(options: Pick<MysqlOptions, 'binaries' | 'runAs'>): Promise<ServerPrograms> {
  const { baseDir, libraryPath } = options.binaries;
  const server = options.binaries.server ?? (await firstProgram(candidates(baseDir, ['mariadbd', 'mysqld'])));
  if (server === null) {
    const text = `There is no program "mysqld" or "mariadbd" below ${baseDir}.`;
    throw new EngineError('ENGINE_BINARY_MISSING', text, { next: 'Install MySQL or MariaDB, or correct baseDir.' });
  }
  const { code, output } = await runProgram(server, ['--no-defaults', '--version'], {
    home: '/',
    libraryPath,
    owner: options.runAs,
    timeoutMs: 10_000,
    failure: 'ENGINE_BINARY_MISSING',
  });
  const found = readVersion(output);
  if (code !== 0 || found === null) {
    throw new EngineError('ENGINE_BINARY_MISSING', `${server} does not run: ${tail(output)}`);
  }
  requireNewEnough(server, found);
  const own = found.flavour === 'mysql' ? 'mysql' : 'mariadb';
  const tool = (name: string): Promise<string | null> => firstProgram(candidates(baseDir, [`${own}${name}`]));
  const isMariadb = found.flavour === 'mariadb';
  const [installDb, dump, client, binlog, backup, unpack] = await Promise.all([
    isMariadb ? tool('-install-db') : null,
    tool(found.flavour === 'mysql' ? 'dump' : '-dump'),
    tool(''),
    tool(found.flavour === 'mysql' ? 'binlog' : '-binlog'),
    isMariadb ? tool('-backup') : null,
    isMariadb ? firstProgram(candidates(baseDir, ['mbstream'])) : null,
  ]);
  return { ...found, server, baseDir, libraryPath, installDb, dump, client, binlog, backup, unpack };
}

/** Reads what `--version` prints; null when it is something else. */
export function readVersion(output: string): { readonly flavour: Flavour; readonly version: string } | null {
  const [, version, rest] = /\bVer (\d+\.\d+\.\d+)(\S*)/.exec(output) ?? [];
  if (version === undefined) return null;
  return { flavour: /mariadb/i.test(rest ?? '') ? 'mariadb' : 'mysql', version };
}

/** A program that is needed now. @throws EngineError `ENGINE_BINARY_MISSING` */
export function programOf(program: string | null, name: string): string {
  if (program !== null) return program;
  const text = `There is no program "${name}" beside the server.`;
  throw new EngineError('ENGINE_BINARY_MISSING', text, {
    next: 'Install it (a package of the client programs has it).',
  });
}

/** Whether version `a` is newer than `b`, by as many of their numbers as `places` says. */
export function isNewer(a: string, b: string, places = 3): boolean {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (let index = 0; index < places; index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

function requireNewEnough(server: string, found: { readonly flavour: Flavour; readonly version: string }): void {
  const wanted = oldest[found.flavour];
  if (!isNewer(wanted, found.version)) return;
  const text = `${server} is version ${found.version}, which is too old; use ${wanted} or newer.`;
  throw new EngineError('ENGINE_BINARY_MISSING', text, { retry: 'unsafe' });
}
