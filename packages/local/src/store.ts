import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeConfigInput } from '@understudy/agent/client';
import { findEtcd, getServer, type OnProgress } from '@understudy/servers';
import type { NodeCertificates } from './certificates.ts';
import { LocalError } from './errors.ts';
import { makeFolder, tailOf } from './files.ts';
import type { ClusterPaths } from './folder.ts';
import { callHttps, readMaterial } from './https.ts';
import type { ProcessInfo } from './proc.ts';
import type { EtcdMemberState } from './state.ts';
import { Supervised, type SupervisedEvent } from './supervised.ts';
import { pollUntil } from './waiting.ts';

const etcdReadyMs = 30_000;

export interface EtcdOptions {
  readonly paths: ClusterPaths;
  readonly clusterId: string;
  readonly members: readonly EtcdMemberState[];
  /** Where the members listen. */
  readonly host: string;
  /** By member, and by node for its agent; null: not encrypted. */
  readonly certificates: ReadonlyMap<string, NodeCertificates> | null;
  /** Minor version, e.g. `3.5`; without it the newest one that is there. */
  readonly version?: string;
  readonly mark: Readonly<Record<string, string>>;
  readonly onEvent: (event: SupervisedEvent) => void;
  readonly onFetch?: OnProgress;
  readonly signal?: AbortSignal | undefined;
}

/** The members of an etcd cluster as child processes, with their data in the cluster folder. */
export class LocalEtcd {
  readonly #members: readonly {
    readonly state: EtcdMemberState;
    readonly supervised: Supervised;
    readonly log: string;
  }[];
  readonly #host: string;
  readonly #certificates: EtcdOptions['certificates'];

  private constructor(options: EtcdOptions, program: string, env: Readonly<Record<string, string>>) {
    this.#host = options.host;
    this.#certificates = options.certificates;
    this.#members = options.members.map((state) => {
      const log = join(options.paths.logs, `${state.name}.log`);
      const supervised = new Supervised(
        {
          name: state.name,
          command: [program, ...memberArguments(options, state)],
          env: { ...env, ...options.mark },
          log,
          user: null,
          workingFolder: options.paths.etcd,
          yieldMs: 0,
          runsElsewhere: () => false,
        },
        options.onEvent,
      );
      return { state, supervised, log };
    });
  }

  /** Finds (or fetches) etcd, starts the members and waits until they answer. @throws LocalError `STORE_FAILED` */
  static async start(options: EtcdOptions): Promise<LocalEtcd> {
    const { version } = options;
    const search = version === undefined ? {} : { version };
    const found = await findEtcd(search).catch(async () => {
      await getServer(`etcd-${version ?? '3.5'}`, options.onFetch === undefined ? {} : { onProgress: options.onFetch });
      return findEtcd(search);
    });
    await makeFolder(options.paths.etcd, 0o700);
    const etcd = new LocalEtcd(options, found.program, found.env);
    for (const { supervised } of etcd.#members) supervised.start();
    try {
      await etcd.#waitUntilReady(options.signal);
      return etcd;
    } catch (error) {
      await etcd.stop();
      throw error;
    }
  }

  get processes(): readonly ProcessInfo[] {
    return this.#members.flatMap(({ supervised }) => supervised.process ?? []);
  }

  /** What a node's configuration says about this store. @param own the node's certificates, if it has some */
  storeOf(own: NodeCertificates | null): NodeConfigInput['store'] {
    const endpoints = this.#members.map(({ state }) => `${this.#scheme}://${this.#host}:${state.clientPort}`);
    if (own === null || this.#certificates === null) return { kind: 'etcd', endpoints };
    return { kind: 'etcd', endpoints, tls: { caFile: own.ca, certFile: own.cert, keyFile: own.key } };
  }

  get #scheme(): 'http' | 'https' {
    return this.#certificates === null ? 'http' : 'https';
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map(({ supervised }) => supervised.stop(5000)));
  }

  async #waitUntilReady(signal: AbortSignal | undefined): Promise<void> {
    const ready = await pollUntil(
      async () => {
        const answers = await Promise.all(this.#members.map(({ state }) => this.#isHealthy(state)));
        return answers.every(Boolean) ? true : null;
      },
      { everyMs: 50, timeoutMs: etcdReadyMs, signal },
    );
    if (ready !== null) return;
    const logs = await Promise.all(
      this.#members.map(async ({ state, log }) => `${state.name}: ${await tailOf(log, 3)}`),
    );
    throw new LocalError('STORE_FAILED', `etcd was not ready within ${etcdReadyMs / 1000} s.\n${logs.join('\n')}`);
  }

  async #isHealthy(state: EtcdMemberState): Promise<boolean> {
    try {
      const url = `${this.#scheme}://${this.#host}:${state.clientPort}/health`;
      const own = this.#certificates?.get(state.name);
      if (own !== undefined) {
        const { text } = await callHttps({ method: 'GET', url, headers: {}, timeoutMs: 1000 }, await readMaterial(own));
        return text.includes('true');
      }
      const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
      return (await response.text()).includes('true');
    } catch {
      return false;
    }
  }
}

function memberArguments(options: EtcdOptions, member: EtcdMemberState): string[] {
  const { host, members, clusterId, paths, certificates } = options;
  const scheme = certificates === null ? 'http' : 'https';
  const peer = (one: EtcdMemberState): string => `${scheme}://${host}:${one.peerPort}`;
  const client = `${scheme}://${host}:${member.clientPort}`;
  return [
    `--name=${member.name}`,
    `--data-dir=${join(paths.etcd, member.name)}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer(member)}`,
    `--initial-advertise-peer-urls=${peer(member)}`,
    `--initial-cluster=${members.map((one) => `${one.name}=${peer(one)}`).join(',')}`,
    `--initial-cluster-token=understudy-${clusterId}`,
    '--initial-cluster-state=new',
    '--heartbeat-interval=100',
    '--election-timeout=500',
    '--auto-compaction-mode=revision',
    '--auto-compaction-retention=10000',
    '--logger=zap',
    '--log-level=warn',
    ...certificateArguments(certificates?.get(member.name)),
  ];
}

/** Clients and other members have to show a certificate of the cluster's authority. */
function certificateArguments(own: NodeCertificates | undefined): string[] {
  if (own === undefined) return [];
  return ['', 'peer-'].flatMap((kind) => [
    `--${kind}cert-file=${own.cert}`,
    `--${kind}key-file=${own.key}`,
    `--${kind}trusted-ca-file=${own.ca}`,
    `--${kind}client-cert-auth`,
  ]);
}

/** Removes the data of etcd: addresses are part of it, so members that have to move start anew. */
export async function forgetEtcd(paths: ClusterPaths): Promise<void> {
  await rm(paths.etcd, { recursive: true, force: true });
}
