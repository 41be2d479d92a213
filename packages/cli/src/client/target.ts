import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { CliError } from '../errors.ts';
import type { Io } from '../output/io.ts';
import { readTls, type TlsMaterial } from './http.ts';

/** The options by which a command finds its cluster, as commander gives them. */
export const targetOptionsSchema = z.object({
  api: z.array(z.string()).optional(),
  config: z.string().optional(),
  dataDir: z.string().optional(),
  cluster: z.string().optional(),
  tokenFile: z.string().optional(),
  ca: z.string().optional(),
  cert: z.string().optional(),
  key: z.string().optional(),
  insecure: z.boolean().optional(),
});
export type TargetOptions = z.infer<typeof targetOptionsSchema>;

/** Where to ask, and with what in hand. */
export interface Target {
  /** Base addresses of agents of one cluster, without a slash at the end. */
  readonly urls: readonly string[];
  /** What was looked at to find them, for messages. */
  readonly source: string;
  readonly tls: TlsMaterial;
  /** Read only when a call needs it, so that looking works without the right to read it. */
  readonly token: () => Promise<string | null>;
  /** Where that is read from; null: it is in the environment, or there is none. */
  readonly tokenFile?: string | null;
  /** Folder of a cluster of this machine; null for any other. */
  readonly folder: string | null;
  /** The token may go over links that are not encrypted. */
  readonly insecure: boolean;
}

/**
 * Finds the cluster that a command is about: `--api`, `--config`, `--data-dir`/`--cluster`, then `UNDERSTUDY_API`, then
 * `UNDERSTUDY_CONFIG`, then the cluster that `understudy up` keeps below this folder.
 *
 * @throws CliError `USAGE`, `NO_CLUSTER`, `FILE_UNREADABLE`; errors of the node's configuration.
 */
export async function findTarget(options: TargetOptions, env: Io['env']): Promise<Target> {
  if (options.api !== undefined && options.api.length > 0)
    return byAddress(options.api.join(','), '--api', options, env);
  if (options.config !== undefined) return byConfig(options.config, options, env);
  const isNamed = options.dataDir !== undefined || options.cluster !== undefined;
  if (!isNamed && present(env.UNDERSTUDY_API)) return byAddress(env.UNDERSTUDY_API, 'UNDERSTUDY_API', options, env);
  if (!isNamed && present(env.UNDERSTUDY_CONFIG)) return byConfig(env.UNDERSTUDY_CONFIG, options, env);
  return byFolder(options, env);
}

function present(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

async function byAddress(list: string, source: string, options: TargetOptions, env: Io['env']): Promise<Target> {
  const urls = list
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  const tls = await readTls(tlsFiles(options, env));
  return {
    urls: urls.map((url) => checkedUrl(url, source)),
    source,
    tls,
    token: tokenOf(options, env, null),
    tokenFile: tokenFileOf(options, env, null),
    folder: null,
    insecure: options.insecure ?? false,
  };
}

function checkedUrl(text: string, source: string): string {
  const withScheme = /^https?:\/\//.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : null;
  if (url !== null && url.pathname === '/' && url.search === '' && url.username === '' && url.hash === '') {
    return url.origin;
  }
  const next = 'Write it like http://127.0.0.1:8008, without path, user or password.';
  throw new CliError('USAGE', `"${text}" (from ${source}) is not the address of an agent.`, { next });
}

async function byConfig(file: string, options: TargetOptions, env: Io['env']): Promise<Target> {
  const { advertisedUrl, loadNodeConfig } = await import('@understudy/agent/client');
  const config = await loadNodeConfig(resolve(file));
  const own = config.api.tls;
  const named = tlsFiles(options, env);
  const tls = await readTls({ ...(own === undefined ? {} : { ca: own.ca, cert: own.cert, key: own.key }), ...named });
  return {
    urls: [advertisedUrl(config)],
    source: file,
    tls,
    token: tokenOf(options, env, config.api.tokenFile ?? null),
    tokenFile: tokenFileOf(options, env, config.api.tokenFile ?? null),
    folder: null,
    insecure: options.insecure ?? config.insecure,
  };
}

async function byFolder(options: TargetOptions, env: Io['env']): Promise<Target> {
  const named = tlsFiles(options, env);
  const { describeCluster } = await import('@understudy/local');
  const choice = await localChoice(options);
  const found = await describeCluster(choice);
  if (found === null) {
    const { describePair } = await import('@understudy/pair');
    const pair = await describePair(choice);
    if (pair !== null) {
      return {
        urls: [],
        source: pair.folder,
        tls: await readTls({}),
        token: async () => null,
        tokenFile: null,
        folder: pair.folder,
        insecure: false,
      };
    }
    const where = choice.folder ?? `.understudy/${choice.name ?? 'default'}`;
    const next =
      'Start one here with "understudy up", or name an agent with --api URL, or a node\'s file with --config.';
    throw new CliError('NO_CLUSTER', `There is no cluster in ${where}.`, { next });
  }
  if (found.caFile !== null && !(await exists(found.caFile))) {
    const text = `The cluster in ${found.folder} has no certificates yet: it was never started to the end.`;
    throw new CliError('UNREACHABLE', text, { next: 'Start it with: understudy up', retry: 'safe' });
  }
  const own = found.caFile === null ? {} : { ca: found.caFile };
  const tls = await readTls({ ...own, ...named });
  return {
    urls: found.nodes.map((node) => node.apiUrl),
    source: found.folder,
    tls,
    token: tokenOf(options, env, found.tokenFile),
    tokenFile: tokenFileOf(options, env, found.tokenFile),
    folder: found.folder,
    insecure: options.insecure ?? false,
  };
}

/** `--data-dir` may name the cluster's own folder or the one that holds clusters by name, as `.understudy` does. */
export async function localChoice(
  options: Pick<TargetOptions, 'dataDir' | 'cluster'>,
): Promise<{ readonly name?: string; readonly folder?: string }> {
  const name = options.cluster === undefined ? {} : { name: options.cluster };
  if (options.dataDir === undefined) return name;
  const folder = resolve(options.dataDir);
  const inner = join(folder, options.cluster ?? 'default');
  const holds = async (each: string): Promise<boolean> =>
    (await exists(join(each, 'state.json'))) || (await exists(join(each, 'pair.json')));
  const isOuter = !(await holds(folder)) && (await holds(inner));
  return { ...name, folder: isOuter ? inner : folder };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function tlsFiles(options: TargetOptions, env: Io['env']): { ca?: string; cert?: string; key?: string } {
  const ca = options.ca ?? env.UNDERSTUDY_CA;
  const cert = options.cert ?? env.UNDERSTUDY_CERT;
  const key = options.key ?? env.UNDERSTUDY_KEY;
  if ((cert === undefined) !== (key === undefined)) {
    throw new CliError('USAGE', '--cert and --key go together.', { next: 'Name both, or none.' });
  }
  return {
    ...(present(ca) ? { ca } : {}),
    ...(present(cert) ? { cert } : {}),
    ...(present(key) ? { key } : {}),
  };
}

function tokenOf(options: TargetOptions, env: Io['env'], fallback: string | null): () => Promise<string | null> {
  return async () => {
    if (options.tokenFile === undefined && present(env.UNDERSTUDY_TOKEN)) return env.UNDERSTUDY_TOKEN;
    const file = tokenFileOf(options, env, fallback);
    if (file === null) return null;
    const { loadTokens, strongestToken } = await import('@understudy/agent/client');
    return strongestToken(await loadTokens(file));
  };
}

function tokenFileOf(options: TargetOptions, env: Io['env'], fallback: string | null): string | null {
  if (options.tokenFile === undefined && present(env.UNDERSTUDY_TOKEN)) return null;
  const named = present(env.UNDERSTUDY_TOKEN_FILE) ? env.UNDERSTUDY_TOKEN_FILE : fallback;
  const file = options.tokenFile ?? named;
  return file === null ? null : resolve(file);
}
