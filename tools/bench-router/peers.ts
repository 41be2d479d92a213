/** What is compared: a server alone, and what can stand in front of it. Each is started for itself and ended again. */

import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findFreePorts } from '@understudy/local/parts';
import {
  findHaproxy,
  findPgbouncer,
  findPostgres,
  getServer,
  type PostgresTools,
  reachablePostgres,
  serverUser,
} from '@understudy/servers';

export const LOGIN = { user: 'postgres', password: 'only-for-this-bench', database: 'postgres' } as const;
export const POOL_SIZE = 20;

export interface Peer {
  readonly name: string;
  readonly port: number;
  /** Processes whose CPU time is counted; none: it is the server itself. */
  readonly pids: () => Promise<readonly number[]>;
}

export interface Bench {
  readonly tools: PostgresTools;
  readonly versions: Readonly<Record<string, string>>;
  readonly peers: readonly Peer[];
  readonly stop: () => Promise<void>;
}

/** Starts the server and everything that is compared, in a folder that may be removed afterwards. */
export async function startBench(folder: string, workers: number): Promise<Bench> {
  const owner = serverUser();
  const as = owner === null ? {} : { uid: owner.uid, gid: owner.gid };
  await getServer('pg-tools-17');
  await getServer('haproxy');
  await getServer('pgbouncer');
  const server = await reachablePostgres(await findPostgres({ version: '17' }), owner);
  const [haproxy, pgbouncer] = [await findHaproxy(), await findPgbouncer()];
  const [direct, proxied, pooled, ours] = (await findFreePorts('127.0.0.1', 4, new Set())) as [
    number,
    number,
    number,
    number,
  ];
  const children: ChildProcess[] = [];
  const start = (program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess => {
    const child = spawn(program, args, {
      ...as,
      env: { ...process.env, HOME: folder, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    children.push(child);
    return child;
  };
  const stop = async (): Promise<void> => {
    for (const child of children.toReversed()) await ended(child);
  };
  try {
    const data = join(folder, 'data');
    await mkdir(data);
    await ownedBy(data, as);
    await secretFile(join(folder, 'password'), LOGIN.password, as);
    await finished(
      start(server.tools.initdb, [
        '-D',
        data,
        '-U',
        LOGIN.user,
        '--auth=scram-sha-256',
        `--pwfile=${join(folder, 'password')}`,
        '--no-sync',
      ]),
    );
    start(server.tools.postgres, [
      '-D',
      data,
      '-p',
      `${direct}`,
      '-k',
      folder,
      '-c',
      'fsync=off',
      '-c',
      'log_min_messages=fatal',
      '-c',
      'max_connections=300',
    ]);
    await reachable(direct);
    await writeFile(join(folder, 'haproxy.cfg'), haproxyText(proxied, direct));
    const proxy = start(haproxy.program, ['-db', '-f', join(folder, 'haproxy.cfg')], haproxy.env);
    await secretFile(join(folder, 'users.txt'), `"${LOGIN.user}" "${LOGIN.password}"\n`, as);
    await writeFile(join(folder, 'pgbouncer.ini'), pgbouncerText(folder, pooled, direct));
    const pool = start(pgbouncer.program, [join(folder, 'pgbouncer.ini')], pgbouncer.env);
    const router = start(process.execPath, [
      fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url)),
      'router',
      ...['--servers', `n1=127.0.0.1:${direct}`, '--listen', `127.0.0.1:${ours}`],
      ...[
        '--password-file',
        join(folder, 'password'),
        '--workers',
        `${workers}`,
        '--pool-size',
        `${POOL_SIZE}`,
        '--pooling',
        'transaction',
      ],
    ]);
    for (const port of [proxied, pooled, ours]) await reachable(port);
    return {
      tools: server.tools,
      versions: { postgres: server.version, haproxy: haproxy.version, pgbouncer: pgbouncer.version },
      peers: [
        { name: 'direct', port: direct, pids: async () => [] },
        { name: 'haproxy', port: proxied, pids: async () => family(proxy) },
        { name: 'pgbouncer', port: pooled, pids: async () => family(pool) },
        {
          name: `understudy, ${workers} worker${workers === 1 ? '' : 's'}`,
          port: ours,
          pids: async () => family(router),
        },
      ],
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const haproxyText = (port: number, server: number): string => `global
    maxconn 1000
defaults
    mode tcp
    timeout client 30m
    timeout connect 4s
    timeout server 30m
listen postgres
    bind 127.0.0.1:${port}
    server n1 127.0.0.1:${server}
`;

const pgbouncerText = (folder: string, port: number, server: number): string => `[databases]
* = host=127.0.0.1 port=${server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${join(folder, 'users.txt')}
pool_mode = transaction
default_pool_size = ${POOL_SIZE}
max_client_conn = 1000
ignore_startup_parameters = extra_float_digits
logfile = ${join(folder, 'pgbouncer.log')}
log_connections = 0
log_disconnections = 0
`;

async function ownedBy(path: string, as: { readonly uid?: number; readonly gid?: number }): Promise<void> {
  if (as.uid !== undefined && as.gid !== undefined) await chown(path, as.uid, as.gid);
}

async function secretFile(path: string, text: string, as: Parameters<typeof ownedBy>[1]): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  await ownedBy(path, as);
}

function finished(child: ChildProcess): Promise<void> {
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('exit', (code) => (code === 0 ? done() : fail(new Error(`${child.spawnfile} ended with ${code}`))));
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((done) => child.once('exit', () => done()));
  child.kill('SIGINT');
  const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(deadline);
}

async function reachable(port: number): Promise<void> {
  const { connect } = await import('node:net');
  const deadline = performance.now() + 60_000;
  for (;;) {
    const isOpen = await new Promise<boolean>((done) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.once('connect', () => {
        socket.destroy();
        done(true);
      });
      socket.once('error', () => done(false));
    });
    if (isOpen) return;
    if (performance.now() > deadline) throw new Error(`nothing listens on port ${port}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** A process and its children. */
async function family(child: ChildProcess): Promise<readonly number[]> {
  const pid = child.pid ?? 0;
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return [pid, ...text.split(' ').filter(Boolean).map(Number)];
}
