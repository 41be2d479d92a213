import { basename, dirname, join, resolve } from 'node:path';
import { reasonOf } from '@understudy/base';
import { ServersError } from './errors.ts';
import { cacheFolders } from './folders.ts';
import { bundledPostgresFolder, hydrateLinks } from './npm-postgres.ts';
import { namesIn, pathFolders } from './places.ts';
import {
  type BinDirProbe,
  moveTools,
  type PostgresTools,
  probeBinDir,
  toolsFor,
  type UsableBinDir,
} from './postgres-tools.ts';
import { makeReachable } from './reachable.ts';
import { isServerName, recipes, type ServerName } from './recipes.ts';
import type { ServerUser } from './user.ts';

/** Where binaries came from: the npm package, a fetched one, the operating system, or a folder that the caller named. */
export type PostgresOrigin = 'npm' | 'cache' | 'system' | 'binDir';

export interface PostgresServer {
  readonly major: number;
  /** As the server says it, for example `17.10` or `15.14`. */
  readonly version: string;
  readonly binDir: string;
  readonly tools: PostgresTools;
  readonly origin: PostgresOrigin;
}

export interface FindPostgresOptions {
  /** Wanted major version, for example `17`. Without it: what npm brought, otherwise the newest found. */
  readonly version?: string;
  /** Take the server from this folder and from nowhere else. */
  readonly binDir?: string;
  /** Further folders of programs to look into, before those of the operating system. */
  readonly searchPath?: readonly string[];
  /** Take the server from these origins only (tools may still come from others). */
  readonly origins?: readonly PostgresOrigin[];
}

interface Candidate {
  readonly origin: PostgresOrigin;
  readonly probe: BinDirProbe;
}

/**
 * Finds PostgreSQL on this machine: in the npm package, among the fetched servers, in `searchPath`, in the places where
 * distributions put it, on PATH – in this order, the first of the wanted major version wins.
 *
 * @returns the server with its programs. `tools.pgRewind` and its like may come from another folder, but are then of the
 *   same major version, as they have to be.
 * @throws ServersError `SERVER_NOT_FOUND` saying what was looked at and how to get one; `SERVER_BROKEN` for a `binDir`
 *   without a working server.
 */
export async function findPostgres(options: FindPostgresOptions = {}): Promise<PostgresServer> {
  const major = options.version === undefined ? null : majorOf(options.version);
  const candidates = await lookEverywhere(options);
  const wanted = candidates.filter(({ origin }) => allowedOrigins(options).includes(origin));
  const servers = wanted.flatMap(({ origin, probe }) => (probe.kind === 'server' ? [{ origin, probe }] : []));
  const matching = servers.filter(({ probe }) => major === null || probe.major === major);
  const bundled = matching.find(({ origin }) => origin === 'npm');
  const byMajor = matching.toSorted((a, b) => b.probe.major - a.probe.major);
  const chosen = bundled ?? (major === null ? byMajor[0] : matching[0]);
  if (!chosen) throw notFound(options, major, wanted);
  const usable = candidates.flatMap(({ probe }): UsableBinDir[] => (probe.kind === 'unusable' ? [] : [probe]));
  const { binDir, version } = chosen.probe;
  const tools = await toolsFor(chosen.probe, usable);
  return { major: chosen.probe.major, version, binDir, tools, origin: chosen.origin };
}

/**
 * The same server with programs that `user` can run: unchanged where it already can, otherwise from copies
 * (see `makeReachable`).
 *
 * @param user from `serverUser()`; null returns the server as it is.
 */
export async function reachablePostgres(server: PostgresServer, user: ServerUser | null): Promise<PostgresServer> {
  if (user === null) return server;
  const paths = Object.values(server.tools).filter((path): path is string => path !== null);
  const folders = new Map<string, string>();
  for (const folder of new Set(paths.map((path) => dirname(path)))) {
    const programs = paths.filter((path) => dirname(path) === folder).map((path) => basename(path));
    folders.set(folder, await makeReachable(folder, user.uid, programs));
  }
  const binDir = folders.get(server.binDir) ?? server.binDir;
  const isMoved = [...folders].some(([from, to]) => from !== to);
  return isMoved ? { ...server, binDir, tools: moveTools(server.tools, folders) } : server;
}

/** Every server found, best first, for `list` and for error messages. */
export async function listPostgres(options: FindPostgresOptions = {}): Promise<PostgresServer[]> {
  const candidates = await lookEverywhere(options);
  const usable = candidates.flatMap(({ probe }): UsableBinDir[] => (probe.kind === 'unusable' ? [] : [probe]));
  const found: PostgresServer[] = [];
  for (const { origin, probe } of candidates) {
    if (probe.kind !== 'server' || !allowedOrigins(options).includes(origin)) continue;
    const tools = await toolsFor(probe, usable);
    found.push({ major: probe.major, version: probe.version, binDir: probe.binDir, tools, origin });
  }
  return found;
}

function majorOf(version: string): number {
  const match = /^(\d+)(\.\S*)?$/.exec(version.trim());
  if (match?.[1] !== undefined) return Number(match[1]);
  throw new ServersError('SERVER_UNKNOWN', `"${version}" is not a PostgreSQL version.`, {
    next: 'Give a major version, such as 17.',
  });
}

function allowedOrigins(options: FindPostgresOptions): readonly PostgresOrigin[] {
  if (options.binDir !== undefined) return ['binDir'];
  return options.origins ?? ['npm', 'cache', 'binDir', 'system'];
}

async function lookEverywhere(options: FindPostgresOptions): Promise<Candidate[]> {
  const places: { origin: PostgresOrigin; binDir: string }[] = [];
  const add = (origin: PostgresOrigin, folders: readonly string[]): void => {
    for (const folder of folders) {
      const binDir = resolve(folder);
      if (!places.some((place) => place.binDir === binDir)) places.push({ origin, binDir });
    }
  };
  if (options.binDir !== undefined) add('binDir', [options.binDir]);
  const bundled = bundledPostgresFolder();
  const broken: Candidate[] = [];
  if (bundled !== null) {
    const binDir = join(bundled, 'native', 'bin');
    const problem = await hydrateLinks(bundled).then(() => null, reasonOf);
    if (problem === null) add('npm', [binDir]);
    else broken.push({ origin: 'npm', probe: { kind: 'unusable', binDir, reason: problem } });
  }
  add('cache', await cachedBinDirs());
  add('binDir', options.searchPath ?? []);
  add('system', await systemBinDirs());
  const probed = await Promise.all(
    places.map(async ({ origin, binDir }) => ({ origin, probe: await probeBinDir(binDir) })),
  );
  return [...broken, ...probed];
}

/** Fetched servers, then fetched tools: the npm packages of the servers have none. */
async function cachedBinDirs(): Promise<string[]> {
  const found: string[] = [];
  for (const cache of cacheFolders()) {
    const names = (await namesIn(cache)).filter(isServerName);
    const folderOf = (name: ServerName): string => dirname(join(cache, name, recipes[name].probe.program));
    const servers = names.filter((name) => name.startsWith('postgres-'));
    const tools = names.filter((name) => name.startsWith('pg-tools-'));
    found.push(...servers.map(folderOf), ...tools.map(folderOf));
  }
  return found;
}

/** Debian and Ubuntu; Red Hat and SUSE; a build from source; then PATH, where a folder of wrappers is not a server. */
async function systemBinDirs(): Promise<string[]> {
  const debian = (await namesIn('/usr/lib/postgresql')).map((name) => join('/usr/lib/postgresql', name, 'bin'));
  const redHat = (await namesIn('/usr'))
    .filter((name) => name.startsWith('pgsql-'))
    .map((name) => join('/usr', name, 'bin'));
  return [...debian, ...redHat, '/usr/local/pgsql/bin', ...pathFolders()];
}

function notFound(options: FindPostgresOptions, major: number | null, candidates: readonly Candidate[]): ServersError {
  const notes = candidates
    .filter(({ origin, probe }) => origin !== 'system' || probe.kind === 'server')
    .map(({ probe }) =>
      probe.kind === 'unusable' ? `${probe.binDir}: ${probe.reason}` : `${probe.binDir}: version ${probe.version}`,
    );
  const seen = notes.length === 0 ? 'none was found' : `seen: ${notes.join('; ')}`;
  if (options.binDir !== undefined) {
    const text = `There is no usable PostgreSQL${major === null ? '' : ` ${major}`} in ${options.binDir} (${seen}).`;
    return new ServersError('SERVER_BROKEN', text, { next: 'Name the folder that holds postgres, initdb and pg_ctl.' });
  }
  const name = `postgres-${major ?? 17}`;
  const next = isServerName(name)
    ? `Fetch it with "npm run servers -- get ${name}", or name its folder with binDir.`
    : 'Install it and name its folder with binDir.';
  const text = `PostgreSQL${major === null ? '' : ` ${major}`} is not on this machine (${seen}).`;
  return new ServersError('SERVER_NOT_FOUND', text, { next });
}
