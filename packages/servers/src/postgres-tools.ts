import { access, constants } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { reasonOf } from '@understudy/base';

import { run, tailOf } from './run.ts';

/** Absolute paths of PostgreSQL's programs; null where none is on this machine. */
export interface PostgresTools {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
  /** These work on data directories or replication protocol, so they are always of the server's own major version. */
  readonly pgBasebackup: string | null;
  readonly pgRewind: string | null;
  readonly pgControldata: string | null;
  readonly pgWaldump: string | null;
  readonly pgChecksums: string | null;
  /** Plain clients: of the server's major version where there is one, otherwise the newest found. */
  readonly psql: string | null;
  readonly pgbench: string | null;
  /** Refuses servers newer than itself, so it is of the server's major version or a newer one. */
  readonly pgDump: string | null;
}

/** What one folder of PostgreSQL programs turned out to be. */
export type BinDirProbe =
  | { readonly kind: 'server'; readonly binDir: string; readonly major: number; readonly version: string }
  | { readonly kind: 'clients'; readonly binDir: string; readonly major: number; readonly version: string }
  | { readonly kind: 'unusable'; readonly binDir: string; readonly reason: string };

const serverPrograms = ['postgres', 'initdb', 'pg_ctl'];
const versionPattern = /\(PostgreSQL\) ((\d+)[^\s]*)/;

/** True when the file exists and this process may execute it. */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Looks into one folder and runs its program with `--version` (this also proves that its libraries are found). */
export async function probeBinDir(binDir: string): Promise<BinDirProbe> {
  const present = await Promise.all(serverPrograms.map((name) => isExecutable(join(binDir, name))));
  const isServer = present.every(Boolean);
  for (const name of isServer ? ['postgres'] : ['psql', 'pg_basebackup', 'pg_rewind']) {
    if (!(await isExecutable(join(binDir, name)))) continue;
    const found = await versionOf(join(binDir, name));
    if (found.kind === 'broken') return { kind: 'unusable', binDir, reason: found.reason };
    return { kind: isServer ? 'server' : 'clients', binDir, major: found.major, version: found.version };
  }
  const missing = serverPrograms.filter((_, index) => present[index] === false);
  return { kind: 'unusable', binDir, reason: `no ${missing.join(', ')} in it` };
}

type Version =
  | { readonly kind: 'version'; readonly major: number; readonly version: string }
  | { readonly kind: 'broken'; readonly reason: string };

async function versionOf(program: string): Promise<Version> {
  try {
    const result = await run(program, ['--version'], { timeoutMs: 10_000 });
    const match = versionPattern.exec(result.stdout);
    if (result.code === 0 && match?.[1] !== undefined && match[2] !== undefined) {
      return { kind: 'version', version: match[1], major: Number(match[2]) };
    }
    return { kind: 'broken', reason: `${program} --version failed: ${tailOf(result)}` };
  } catch (error) {
    return { kind: 'broken', reason: reasonOf(error) };
  }
}

export type UsableBinDir = Exclude<BinDirProbe, { readonly kind: 'unusable' }>;

/**
 * The programs for one server: its own, completed with those of other folders where the version allows it.
 *
 * @param server the folder of the server.
 * @param others further folders, best first.
 */
export async function toolsFor(server: UsableBinDir, others: readonly UsableBinDir[]): Promise<PostgresTools> {
  const all = [server, ...others.filter((other) => other.binDir !== server.binDir)];
  const sameMajor = all.filter((one) => one.major === server.major);
  const newestFirst = [...sameMajor, ...all.toSorted((a, b) => b.major - a.major)];
  const notOlder = newestFirst.filter((one) => one.major >= server.major);
  return {
    initdb: join(server.binDir, 'initdb'),
    postgres: join(server.binDir, 'postgres'),
    pgCtl: join(server.binDir, 'pg_ctl'),
    pgBasebackup: await firstOf(sameMajor, 'pg_basebackup'),
    pgRewind: await firstOf(sameMajor, 'pg_rewind'),
    pgControldata: await firstOf(sameMajor, 'pg_controldata'),
    pgWaldump: await firstOf(sameMajor, 'pg_waldump'),
    pgChecksums: await firstOf(sameMajor, 'pg_checksums'),
    psql: await firstOf(newestFirst, 'psql'),
    pgbench: await firstOf(newestFirst, 'pgbench'),
    pgDump: await firstOf(notOlder, 'pg_dump'),
  };
}

async function firstOf(folders: readonly UsableBinDir[], program: string): Promise<string | null> {
  for (const { binDir } of folders) {
    const path = join(binDir, program);
    if (await isExecutable(path)) return path;
  }
  return null;
}

/** The same programs in other folders; a folder that the map does not name stays as it is. */
export function moveTools(tools: PostgresTools, folders: ReadonlyMap<string, string>): PostgresTools {
  const moved = (path: string): string => join(folders.get(dirname(path)) ?? dirname(path), basename(path));
  const movedOrNull = (path: string | null): string | null => (path === null ? null : moved(path));
  return {
    initdb: moved(tools.initdb),
    postgres: moved(tools.postgres),
    pgCtl: moved(tools.pgCtl),
    pgBasebackup: movedOrNull(tools.pgBasebackup),
    pgRewind: movedOrNull(tools.pgRewind),
    pgControldata: movedOrNull(tools.pgControldata),
    pgWaldump: movedOrNull(tools.pgWaldump),
    pgChecksums: movedOrNull(tools.pgChecksums),
    psql: movedOrNull(tools.psql),
    pgbench: movedOrNull(tools.pgbench),
    pgDump: movedOrNull(tools.pgDump),
  };
}
