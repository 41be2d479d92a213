import { basename, dirname, join, relative, resolve } from 'node:path';
import { ServersError } from './errors.ts';
import { cacheFolders } from './folders.ts';
import {
  type MysqlFlavour,
  type MysqlProbe,
  type MysqlTools,
  moveMysqlTools,
  mysqlToolsFor,
  probeMysqlFolder,
} from './mysql-tools.ts';
import { namesIn, pathFolders } from './places.ts';
import { makeReachable } from './reachable.ts';
import { isServerName, recipes, type ServerName, serverNames } from './recipes.ts';
import type { ServerUser } from './user.ts';

/** Where a server came from: a fetched one, the operating system, or a folder that the caller named. */
export type MysqlOrigin = 'cache' | 'system' | 'binDir';

export interface MysqlServer {
  readonly flavour: MysqlFlavour;
  /** As the server says it, without its package's suffix: `9.7.4`, `11.8.6`. */
  readonly version: string;
  /** The first two numbers of it, which data directories and replication go by: `9.7`, `11.8`. */
  readonly series: string;
  /** Folder of the server's program. */
  readonly binDir: string;
  /** Folder around it, with `share`, `lib` and the rest of the installation. */
  readonly baseDir: string;
  readonly tools: MysqlTools;
  readonly origin: MysqlOrigin;
}

export interface FindMysqlOptions {
  readonly flavour: MysqlFlavour;
  /** Wanted version: `9.7`, `9.7.4` or `9`. Without it the newest found. */
  readonly version?: string;
  /** Take the server from this folder (or `bin`, `sbin` in it) and from nowhere else. */
  readonly binDir?: string;
  /** Further folders of programs to look into, before those of the operating system. */
  readonly searchPath?: readonly string[];
  /** Take the server from these origins only. */
  readonly origins?: readonly MysqlOrigin[];
}

interface Candidate {
  readonly origin: MysqlOrigin;
  readonly probe: MysqlProbe;
}

const titles = { mysql: 'MySQL', mariadb: 'MariaDB' } as const satisfies Readonly<Record<MysqlFlavour, string>>;
/** The recipe that is fetched when no version was asked for: the long-term releases. */
const defaultSeries = { mysql: '9.7', mariadb: '11.8' } as const;

/**
 * Finds MySQL or MariaDB on this machine: among the fetched servers, in `searchPath`, in the places where distributions put it, on
 * PATH. Of those of the wanted version the first wins; without a wanted version the newest.
 *
 * @throws ServersError `SERVER_NOT_FOUND` saying what was looked at and how to get one; `SERVER_BROKEN` for a `binDir` without a
 *   working server of that kind; `SERVER_UNKNOWN` for what is not a version.
 */
export async function findMysql(options: FindMysqlOptions): Promise<MysqlServer> {
  const wanted = options.version === undefined ? null : partsOf(options.version, options.flavour);
  const candidates = (await lookEverywhere(options)).filter(({ origin }) => allowedOrigins(options).includes(origin));
  const matching = candidates.flatMap(({ origin, probe }) =>
    probe.kind === 'server' && probe.flavour === options.flavour && isOf(probe.version, wanted)
      ? [{ origin, probe }]
      : [],
  );
  const chosen = wanted === null ? matching.toSorted((a, b) => newestFirst(a.probe, b.probe))[0] : matching[0];
  if (chosen === undefined) throw notFound(options, candidates);
  return serverOf(chosen.origin, chosen.probe);
}

/** Every server of one kind that was found, best first, for lists and messages. */
export async function listMysql(options: FindMysqlOptions): Promise<MysqlServer[]> {
  const found: MysqlServer[] = [];
  for (const { origin, probe } of await lookEverywhere(options)) {
    if (probe.kind !== 'server' || probe.flavour !== options.flavour) continue;
    if (allowedOrigins(options).includes(origin)) found.push(await serverOf(origin, probe));
  }
  return found;
}

/**
 * The same server with programs that `user` can run: unchanged where it already can, otherwise from a copy of the installation
 * (see `makeReachable`).
 *
 * @param user from `serverUser()`; null returns the server as it is.
 */
export async function reachableMysql(server: MysqlServer, user: ServerUser | null): Promise<MysqlServer> {
  if (user === null) return server;
  const paths = Object.values(server.tools).filter((path): path is string => path !== null);
  const programs = paths.map((path) => relative(server.binDir, path));
  const binDir = await makeReachable(server.binDir, user.uid, programs);
  if (binDir === server.binDir) return server;
  const baseDir = dirname(binDir);
  return { ...server, binDir, baseDir, tools: moveMysqlTools(server.tools, server.baseDir, baseDir) };
}

/** The name under which a server of that kind and version is fetched; null when there is no recipe for it. */
export function mysqlRecipeFor(flavour: MysqlFlavour, version?: string): ServerName | null {
  const wanted = partsOf(version ?? defaultSeries[flavour], flavour);
  return (
    serverNames.find(
      (name) => name.startsWith(`${flavour}-`) && isOf(name.slice(flavour.length + 1), wanted.slice(0, 2)),
    ) ?? null
  );
}

type Found = MysqlProbe & { readonly kind: 'server' };

async function serverOf(origin: MysqlOrigin, probe: Found): Promise<MysqlServer> {
  const { flavour, version, binDir, program } = probe;
  const series = version.split('.').slice(0, 2).join('.');
  const tools = await mysqlToolsFor(program, flavour);
  return { flavour, version, series, binDir, baseDir: dirname(binDir), tools, origin };
}

/** The numbers of a version: `9.7` → 9, 7. */
function partsOf(version: string, flavour: MysqlFlavour): readonly number[] {
  const text = version.trim();
  if (/^\d{1,3}(\.\d{1,3}){0,2}$/.test(text)) return text.split('.').map(Number);
  const message = `"${version}" is not a version of ${titles[flavour]}.`;
  throw new ServersError('SERVER_UNKNOWN', message, { next: `Give a series, such as ${defaultSeries[flavour]}.` });
}

function isOf(version: string, wanted: readonly number[] | null): boolean {
  const own = version.split('.').map(Number);
  return wanted === null || wanted.every((part, index) => own[index] === part);
}

function newestFirst(a: Found, b: Found): number {
  return b.version.localeCompare(a.version, 'en', { numeric: true });
}

function allowedOrigins(options: FindMysqlOptions): readonly MysqlOrigin[] {
  if (options.binDir !== undefined) return ['binDir'];
  return options.origins ?? ['cache', 'binDir', 'system'];
}

async function lookEverywhere(options: FindMysqlOptions): Promise<Candidate[]> {
  const places: { origin: MysqlOrigin; binDir: string }[] = [];
  const add = (origin: MysqlOrigin, folders: readonly string[]): void => {
    for (const folder of folders) {
      const binDir = resolve(folder);
      if (!places.some((place) => place.binDir === binDir)) places.push({ origin, binDir });
    }
  };
  const { binDir } = options;
  if (binDir !== undefined) add('binDir', [binDir, join(binDir, 'sbin'), join(binDir, 'bin'), join(binDir, '../sbin')]);
  else {
    add('cache', await cachedFolders(options.flavour));
    add('binDir', options.searchPath ?? []);
    add('system', await systemFolders());
  }
  return Promise.all(
    places.map(async (place) => ({ origin: place.origin, probe: await probeMysqlFolder(place.binDir) })),
  );
}

async function cachedFolders(flavour: MysqlFlavour): Promise<string[]> {
  const found: string[] = [];
  for (const cache of cacheFolders()) {
    const names = (await namesIn(cache)).filter(isServerName).filter((name) => name.startsWith(`${flavour}-`));
    found.push(...names.map((name) => dirname(join(cache, name, recipes[name].probe.program))));
  }
  return found;
}

/** Debian, SUSE and the vendors' packages; Red Hat; archives that were unpacked by hand; then PATH. */
async function systemFolders(): Promise<string[]> {
  const unpacked: string[] = [];
  for (const folder of ['/usr/local', '/opt']) {
    const names = (await namesIn(folder)).filter((name) => /^(mysql|mariadb)/.test(basename(name)));
    unpacked.push(...names.map((name) => join(folder, name, 'bin')));
  }
  return ['/usr/sbin', '/usr/libexec', '/usr/local/sbin', ...unpacked, ...pathFolders()];
}

function notFound(options: FindMysqlOptions, candidates: readonly Candidate[]): ServersError {
  const { flavour, version, binDir } = options;
  const what = `${titles[flavour]}${version === undefined ? '' : ` ${version}`}`;
  const notes = candidates.flatMap(({ probe }) => {
    if (probe.kind === 'absent') return [];
    return probe.kind === 'unusable'
      ? [`${probe.binDir}: ${probe.reason}`]
      : [`${probe.binDir}: ${titles[probe.flavour]} ${probe.version}`];
  });
  const seen = notes.length === 0 ? 'none was found' : `seen: ${notes.join('; ')}`;
  if (binDir !== undefined) {
    const program = flavour === 'mysql' ? 'mysqld' : 'mariadbd';
    const text = `There is no usable ${what} in ${binDir} (${seen}).`;
    return new ServersError('SERVER_BROKEN', text, { next: `Name the folder that holds ${program}.` });
  }
  const name = mysqlRecipeFor(flavour, version);
  const next =
    name === null
      ? 'Install it and name its folder with binDir.'
      : `Fetch it with "npm run servers -- get ${name}", or install it and name its folder with binDir.`;
  return new ServersError('SERVER_NOT_FOUND', `${what} is not on this machine (${seen}).`, { next });
}
