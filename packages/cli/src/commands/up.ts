import { createLocalCluster, type LocalCluster, type LocalClusterOptions } from '@understudy/local';
import type { PairOptions } from '@understudy/pair';
import { z } from 'zod';
import { localChoice } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import { asArguments, ownCommand, typedCommand } from '../invocation.ts';
import { renderWelcome, type Welcome, welcomeJson } from '../render/welcome.ts';
import { requireNodes, SHAPES, type Shape, upstreamsOf } from '../topology/shape.ts';
import { follow } from './up-follow.ts';
import { type ProgressView, startProgress } from './up-progress.ts';
import { UpSignals } from './up-signals.ts';

const optionsSchema = z.object({
  nodes: z.number().optional(),
  engine: z.enum(['postgres', 'mysql', 'mariadb']).optional(),
  serverVersion: z.string().optional(),
  pgVersion: z.string().optional(),
  binDir: z.string().optional(),
  store: z.enum(['local', 'etcd']).optional(),
  etcdMembers: z.enum(['1', '3']).optional(),
  durability: z.enum(['sync', 'async']).optional(),
  tls: z.enum(['off', 'replication', 'all']).optional(),
  name: z.string().optional(),
  dataDir: z.string().optional(),
  parameter: z.array(z.string()).optional(),
  detach: z.boolean().optional(),
  topology: z.enum([...SHAPES, 'circular']).optional(),
  writers: z.enum(['one', 'both']).optional(),
  checkEvery: z.number().optional(),
  timeout: z.number(),
});
type UpOptions = z.infer<typeof optionsSchema>;

/** `understudy up`: a whole cluster of this machine, until Ctrl-C. */
export async function up(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  if (await isPair(options)) return runPair(context, options);
  if (options.detach === true) {
    const { upDetached } = await import('./up-detached.ts');
    const args = asArguments({ ...options, timeout: `${options.timeout}ms` }, ['detach']);
    return upDetached(
      context,
      await localChoice({ dataDir: options.dataDir, cluster: options.name }),
      args,
      options.timeout,
    );
  }
  context.io.outliveReader();
  const progress = startProgress(context);
  const signals = new UpSignals(context);
  try {
    const cluster = await createLocalCluster({
      ...(await clusterOptions(options)),
      onProgress: (step) => progress.show(step),
      onEvent: (event) => progress.tell(event),
    });
    signals.killWith(() => cluster.kill());
    return await run(context, cluster, options, progress, signals);
  } catch (error) {
    progress.end();
    if (signals.first.aborted) return signals.exitCode;
    throw error;
  } finally {
    progress.end();
    signals.close();
  }
}

/** A kept pair stays one, whatever is said now. */
async function isPair({ topology, writers, checkEvery, dataDir, name }: UpOptions): Promise<boolean> {
  if (topology === 'circular') return true;
  const { describePair } = await import('@understudy/pair');
  if ((await describePair(await localChoice({ dataDir, cluster: name }))) !== null) return true;
  if (writers === undefined && checkEvery === undefined) return false;
  throw new CliError('USAGE', '--writers and --check-every are for a circular pair.', {
    next: 'Add --topology circular.',
  });
}

async function runPair(context: Context, options: UpOptions): Promise<ExitCode> {
  const { upPair, upPairDetached } = await import('./up-pair.ts');
  const { timeout } = options;
  const pair = { options: await pairOptions(options), timeoutMs: timeout };
  if (options.detach !== true) return upPair(context, pair);
  const { checkEvery } = options;
  const durations = { timeout: `${timeout}ms`, ...(checkEvery === undefined ? {} : { checkEvery: `${checkEvery}ms` }) };
  return upPairDetached(context, pair, asArguments({ ...options, ...durations }, ['detach']));
}

async function run(
  context: Context,
  cluster: LocalCluster,
  options: UpOptions,
  progress: ProgressView,
  signals: UpSignals,
): Promise<ExitCode> {
  const leader = await cluster.start({ timeoutMs: options.timeout, signal: signals.first, whole: 'wanted' });
  const shape = shapeOf(options);
  if (shape !== null) await arrange(cluster, leader, shape);
  progress.end();
  const welcome = welcomeOf(context, cluster, leader, options);
  if (context.format === 'json') printJson(context, welcomeJson(welcome));
  else print(context, renderWelcome(welcome, context.style, context.io.out.columns()));
  try {
    await follow(context, cluster, progress, signals.first);
  } finally {
    progress.stopping();
    await cluster.stop();
  }
  progress.stopped(cluster.folder);
  return signals.exitCode;
}

/** How the replicas of a cluster are to be arranged; null when nothing is said of it. */
const shapeOf = ({ topology }: UpOptions): Shape | null =>
  topology === undefined || topology === 'circular' ? null : topology;

/** The shape that was asked for takes the place of whatever a kept cluster had. */
async function arrange(cluster: LocalCluster, leader: string, shape: Shape): Promise<void> {
  try {
    const names = cluster.nodes.map(({ name }) => name);
    const wanted = upstreamsOf(shape, [leader, ...names.filter((name) => name !== leader)]);
    const none = Object.fromEntries(names.map((name) => [name, null]));
    await cluster.node(leader).api.patchConfig({ upstreams: { ...none, ...wanted } });
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

async function clusterOptions(options: UpOptions): Promise<LocalClusterOptions> {
  const { engine, binDir, store, etcdMembers, durability, tls, nodes, parameter } = options;
  // Refused before anything is started, where it can be known.
  const shape = shapeOf(options);
  if (shape !== null && nodes !== undefined) requireNodes(shape, nodes);
  return {
    ...(await localChoice({ dataDir: options.dataDir, cluster: options.name })),
    ...(engine === undefined ? {} : { engine }),
    ...versionOf(options),
    ...(binDir === undefined ? {} : { binDir }),
    ...(store === undefined ? {} : { store }),
    ...(etcdMembers === undefined ? {} : { etcdMembers: etcdMembers === '3' ? 3 : 1, store: 'etcd' }),
    ...(durability === undefined ? {} : { durability }),
    ...(tls === undefined ? {} : { tls }),
    ...(nodes === undefined ? {} : { nodes }),
    ...(parameter === undefined ? {} : { parameters: parametersOf(parameter) }),
    command: ownCommand,
  };
}

async function pairOptions(options: UpOptions): Promise<PairOptions> {
  const { engine, binDir, writers, checkEvery, parameter, nodes, store, etcdMembers, durability, tls } = options;
  const others = Object.entries({ nodes, store, etcdMembers, durability, tls }).filter(
    ([, value]) => value !== undefined,
  );
  if (engine === 'postgres' || others.length > 0) {
    const what = engine === 'postgres' ? '--engine postgres' : `--${others[0]?.[0]}`;
    const next = 'A pair is two servers of MySQL or MariaDB, without a store; leave that out.';
    throw new CliError('USAGE', `A circular pair cannot have ${what}.`, { next });
  }
  return {
    ...(await localChoice({ dataDir: options.dataDir, cluster: options.name })),
    ...(engine === undefined ? {} : { engine }),
    ...versionOf(options),
    ...(binDir === undefined ? {} : { binDir }),
    ...(writers === undefined ? {} : { writers }),
    ...(checkEvery === undefined ? {} : { checkEveryS: Math.max(1, Math.round(checkEvery / 1000)) }),
    ...(parameter === undefined ? {} : { parameters: parametersOf(parameter) }),
  };
}

/** `--pg-version` is the older name of `--server-version`, and says which engine is meant. */
function versionOf({ engine, serverVersion, pgVersion }: UpOptions): Pick<LocalClusterOptions, 'version'> {
  if (pgVersion !== undefined && (serverVersion !== undefined || (engine ?? 'postgres') !== 'postgres')) {
    throw new CliError('USAGE', '--pg-version is for PostgreSQL, and alone.', {
      next: 'Write --server-version instead.',
    });
  }
  const version = serverVersion ?? pgVersion;
  return version === undefined ? {} : { version };
}

function parametersOf(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.map((each) => {
      const [, name, value] = /^([^=\s]+)=(.*)$/.exec(each) ?? [];
      if (name !== undefined && value !== undefined) return [name, value];
      throw new CliError('USAGE', `"${each}" is not NAME=VALUE.`, { next: 'Write --parameter work_mem=64MB.' });
    }),
  );
}

function welcomeOf(context: Context, cluster: LocalCluster, leader: string, options: UpOptions): Welcome {
  const { state, server, login, folder, paths } = cluster;
  const choice = [
    ...(options.dataDir === undefined ? [] : ['--data-dir', options.dataDir]),
    ...(options.name === undefined ? [] : ['--cluster', options.name]),
  ];
  return {
    name: state.name,
    engine: state.engine,
    version: server.version,
    durability: state.durability,
    store: state.store.kind,
    leader,
    folder,
    secretsFile: paths.secrets,
    user: login.user,
    database: login.database,
    caFile: cluster.databaseCaFile,
    command: typedCommand(context.io.env),
    choice: choice.join(' '),
    nodes: cluster.nodes.map((node) => ({
      name: node.name,
      host: node.address.host,
      dbPort: node.address.dbPort,
      apiUrl: node.address.apiUrl,
      serverPid: node.server()?.pid ?? null,
    })),
  };
}
