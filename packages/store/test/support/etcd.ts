/** Real etcd processes for tests: one member or several, restartable, killable, with TLS where wanted. */

import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type FoundProgram, findEtcd } from '@understudy/servers';
import { openStore, type Store } from '@understudy/store';
import { endChild, isRunning, startChild, waitUntil } from './process.ts';

const START_DEADLINE_MS = 60_000;

export type EtcdProgram = Pick<FoundProgram, 'program' | 'version' | 'env'>;

/**
 * The etcd versions to test with: the one that UNDERSTUDY_ETCD names, otherwise 3.4 and 3.5 as fetched. A missing one
 * is an error that says how to get it, never a skipped test.
 */
export async function etcdPrograms(): Promise<EtcdProgram[]> {
  const named = process.env.UNDERSTUDY_ETCD;
  if (named !== undefined && named !== '') return [{ program: named, version: basename(named), env: {} }];
  return [await findEtcd({ version: '3.4' }), await findEtcd({ version: '3.5' })];
}

export interface EtcdOptions {
  readonly members: 1 | 3;
  readonly tls?: EtcdTls;
  /** Data of an earlier cluster is not reused; another token makes another cluster id. */
  readonly token?: string;
  /** Client ports to use instead of free ones, for a cluster that takes the place of another. */
  readonly clientPorts?: readonly number[];
  /** Further options of the program. */
  readonly args?: readonly string[];
}

/** Server certificate files, and whether clients have to show one of their own. */
export interface EtcdTls {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export class EtcdMember {
  readonly endpoint: string;
  readonly #program: EtcdProgram;
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;
  #log = '';

  constructor(program: EtcdProgram, endpoint: string, args: readonly string[]) {
    this.#program = program;
    this.endpoint = endpoint;
    this.#args = args;
  }

  /** Starts the process; see {@link EtcdServers.ready} for when it serves. */
  start(): void {
    if (isRunning(this.#child)) throw new Error(`etcd at ${this.endpoint} runs already`);
    const env = { ...process.env, ...this.#program.env };
    const child = startChild(this.#program.program, this.#args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString('utf8')).slice(-20_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.#child = child;
  }

  get pid(): number {
    return this.#child?.pid ?? Number.NaN;
  }

  get log(): string {
    return this.#log;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#child !== null) await endChild(this.#child, signal);
  }
}

export class EtcdServers {
  readonly members: readonly EtcdMember[];
  readonly ports: readonly number[];
  readonly #folder: string;
  readonly #options: EtcdOptions;

  private constructor(members: readonly EtcdMember[], ports: readonly number[], folder: string, options: EtcdOptions) {
    this.members = members;
    this.ports = ports;
    this.#folder = folder;
    this.#options = options;
  }

  /** Starts a new cluster and waits until it serves. */
  static async start(program: EtcdProgram, options: EtcdOptions): Promise<EtcdServers> {
    const folder = mkdtempSync(join(tmpdir(), 'us-etcd-'));
    const clientPorts = options.clientPorts ?? (await freePorts(options.members));
    const peerPorts = await freePorts(options.members);
    const cluster = peerPorts.map((port, n) => `m${n}=http://127.0.0.1:${port}`).join(',');
    const members = clientPorts.map((port, n) => {
      const endpoint = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
      const args = memberArgs(options, { n, folder, endpoint, peer: `http://127.0.0.1:${peerPorts[n]}`, cluster });
      return new EtcdMember(program, endpoint, args);
    });
    const servers = new EtcdServers(members, clientPorts, folder, options);
    try {
      for (const member of members) member.start();
      await servers.ready();
      return servers;
    } catch (error) {
      await servers.stop();
      throw error;
    }
  }

  get endpoints(): string[] {
    return this.members.map((member) => member.endpoint);
  }

  /** Waits until every given member answers a linearizable read, which needs a leader. */
  async ready(members: readonly EtcdMember[] = this.members): Promise<void> {
    const { tls } = this.#options;
    for (const member of members) {
      const store = await openStore({
        kind: 'etcd',
        endpoints: [member.endpoint],
        cluster: 'ready',
        ...(tls && { tls }),
      });
      try {
        await waitUntil(`etcd at ${member.endpoint} serves; it said: ${member.log}`, START_DEADLINE_MS, () =>
          answers(store),
        );
      } finally {
        await store.close();
      }
    }
  }

  /** The member that leads, found by asking each one who it is and whom it follows. */
  async leader(): Promise<EtcdMember> {
    for (const member of this.members) {
      const response = await fetch(`${member.endpoint}/v3/maintenance/status`, { method: 'POST', body: '{}' });
      const status: unknown = await response.json();
      if (isLeaderStatus(status)) return member;
    }
    throw new Error('no member of the etcd cluster says that it leads');
  }

  /** Loses all data and starts again as the same cluster: its id comes from the configuration, which is unchanged. */
  async restartEmpty(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end('SIGKILL')));
    for (const n of this.members.keys()) rmSync(join(this.#folder, `m${n}`), { recursive: true, force: true });
    for (const member of this.members) member.start();
    await this.ready();
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end('SIGKILL')));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function memberArgs(
  options: EtcdOptions,
  at: { n: number; folder: string; endpoint: string; peer: string; cluster: string },
): string[] {
  const { tls, token } = options;
  const tlsArgs =
    tls === undefined
      ? []
      : [
          `--trusted-ca-file=${tls.caFile}`,
          `--cert-file=${tls.certFile}`,
          `--key-file=${tls.keyFile}`,
          '--client-cert-auth',
        ];
  return [
    `--name=m${at.n}`,
    `--data-dir=${join(at.folder, `m${at.n}`)}`,
    `--listen-client-urls=${at.endpoint}`,
    `--advertise-client-urls=${at.endpoint}`,
    `--listen-peer-urls=${at.peer}`,
    `--initial-advertise-peer-urls=${at.peer}`,
    `--initial-cluster=${at.cluster}`,
    `--initial-cluster-token=${token ?? 'first'}`,
    // Loopback: short timers make elections, and the shortest lease, short.
    '--heartbeat-interval=50',
    '--election-timeout=500',
    '--logger=zap',
    '--log-level=warn',
    ...tlsArgs,
    ...(options.args ?? []),
  ];
}

async function answers(store: Store): Promise<boolean> {
  try {
    await store.read({ deadlineMs: 500 });
    return true;
  } catch {
    return false;
  }
}

function isLeaderStatus(status: unknown): boolean {
  if (typeof status !== 'object' || status === null || !('leader' in status) || !('header' in status)) return false;
  const { header, leader } = status;
  return typeof header === 'object' && header !== null && 'member_id' in header && header.member_id === leader;
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen()));
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      await new Promise((resolve) => server.close(resolve));
      if (address === null || typeof address === 'string') throw new Error('no port was given');
      return address.port;
    }),
  );
}

async function listen(): Promise<ReturnType<typeof createServer>> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}
