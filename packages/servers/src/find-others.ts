import { dirname, join } from 'node:path';
import { ServersError } from './errors.ts';
import { fetchedServer, libraryEnvironment } from './get.ts';
import { pathFolders } from './places.ts';
import { isExecutable } from './postgres-tools.ts';
import { recipes, type ServerName } from './recipes.ts';
import { run } from './run.ts';

/** A single program that was found: run `program` with `env` added to the environment. */
export interface FoundProgram {
  readonly program: string;
  readonly version: string;
  readonly env: Readonly<Record<string, string>>;
  readonly origin: 'cache' | 'system';
}

/**
 * Finds etcd: the fetched one of the wanted version, otherwise on PATH.
 *
 * @param options.version `3.4`, `3.5`, …; without it the newest fetched one, then PATH.
 * @throws ServersError `SERVER_NOT_FOUND` with the command that fetches it.
 */
export async function findEtcd(options: { readonly version?: string } = {}): Promise<FoundProgram> {
  const names: ServerName[] = ['etcd-3.5', 'etcd-3.4'];
  const { version } = options;
  const wanted = version === undefined ? names : names.filter((name) => name === `etcd-${version}`);
  const found = (await fetchedProgram(wanted)) ?? (await programOnPath('etcd', recipes['etcd-3.5'].probe.pattern));
  if (found && (version === undefined || found.version.startsWith(`${version}.`))) return found;
  throw notFound(`etcd${version === undefined ? '' : ` ${version}`}`, `etcd-${version ?? '3.5'}`);
}

/**
 * Finds etcd's command: the fetched one, otherwise on PATH.
 *
 * @throws ServersError `SERVER_NOT_FOUND` with the command that fetches it.
 */
export async function findEtcdctl(): Promise<FoundProgram> {
  const found = (await fetchedProgram(['etcdctl'])) ?? (await programOnPath('etcdctl', recipes.etcdctl.probe.pattern));
  if (found) return found;
  throw notFound('etcdctl', 'etcdctl');
}

/**
 * Finds HAProxy: the fetched one, otherwise on PATH.
 *
 * @throws ServersError `SERVER_NOT_FOUND` with the command that fetches it.
 */
export async function findHaproxy(): Promise<FoundProgram> {
  const found = (await fetchedProgram(['haproxy'])) ?? (await programOnPath('haproxy', recipes.haproxy.probe.pattern));
  if (found) return found;
  throw notFound('HAProxy', 'haproxy');
}

/**
 * Finds PgBouncer: the fetched one, otherwise on PATH.
 *
 * @throws ServersError `SERVER_NOT_FOUND` with the command that fetches it.
 */
export async function findPgbouncer(): Promise<FoundProgram> {
  const { pattern } = recipes.pgbouncer.probe;
  const found = (await fetchedProgram(['pgbouncer'])) ?? (await programOnPath('pgbouncer', pattern));
  if (found) return found;
  throw notFound('PgBouncer', 'pgbouncer');
}

/** sysbench, with the script of its OLTP read/write mix. */
export interface FoundSysbench extends FoundProgram {
  /** A path, or the name by which an installed sysbench knows it. */
  readonly script: string;
}

const sysbenchScript = 'oltp_read_write';

/** Finds sysbench: on PATH, otherwise the fetched one. It is never needed, so it is null when there is none. */
export async function findSysbench(): Promise<FoundSysbench | null> {
  const installed = await programOnPath('sysbench', recipes.sysbench.probe.pattern);
  if (installed !== null) return { ...installed, script: sysbenchScript };
  const fetched = await fetchedProgram(['sysbench']);
  if (fetched === null) return null;
  const tree = dirname(dirname(fetched.program));
  const scripts = join(tree, 'share', 'sysbench');
  const plugins = join(tree, 'lib', 'x86_64-linux-gnu', 'libmariadb3', 'plugin');
  const env = { ...fetched.env, LUA_PATH: `${scripts}/?.lua`, MARIADB_PLUGIN_DIR: plugins };
  return { ...fetched, env, script: join(scripts, `${sysbenchScript}.lua`) };
}

async function fetchedProgram(names: readonly ServerName[]): Promise<FoundProgram | null> {
  for (const name of names) {
    const server = await fetchedServer(name);
    if (!server) continue;
    const recipe = recipes[name];
    const program = join(server.folder, recipe.probe.program);
    return { program, version: server.version, env: libraryEnvironment(recipe, server.folder), origin: 'cache' };
  }
  return null;
}

async function programOnPath(name: string, pattern: RegExp): Promise<FoundProgram | null> {
  for (const folder of [...pathFolders(), '/usr/sbin', '/usr/local/sbin']) {
    const program = join(folder, name);
    if (!(await isExecutable(program))) continue;
    const result = await run(program, [name === 'haproxy' ? '-v' : '--version'], { timeoutMs: 10_000 });
    const version = pattern.exec(result.stdout)?.[1];
    if (version !== undefined) return { program, version, env: {}, origin: 'system' };
  }
  return null;
}

function notFound(what: string, name: string): ServersError {
  const next = `Fetch it with "npm run servers -- get ${name}", or install it and put it on PATH.`;
  return new ServersError('SERVER_NOT_FOUND', `${what} is not on this machine.`, { next });
}
