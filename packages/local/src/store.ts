import { join } from 'node:path';
import type { NodeConfigInput } from '@understudy/agent/client';
import { pollUntil } from '@understudy/base';
import type { ProcessInfo } from '@understudy/base/processes';
import { removeTree } from '@understudy/engine/host';
import { findEtcd, getServer, type OnProgress } from '@understudy/servers';
import type { NodeCertificates } from './certificates.ts';
import { LocalError } from './errors.ts';
import { EtcdMember } from './etcd-member.ts';
import { makeFolder, tailOf } from './files.ts';
import type { ClusterPaths } from './folder.ts';
import type { EtcdMemberState } from './state.ts';
import type { SupervisedEvent } from './supervised.ts';

const etcdReadyMs = 30_000;
const leadsWithinMs = 10_000;

export interface EtcdOptions {
  readonly paths: ClusterPaths;
  readonly clusterId: string;
  readonly members: readonly EtcdMemberState[];
  /** Where a member listens. */
  readonly addressOf: (member: EtcdMemberState) => string;
  /** Program and arguments that run a command on the host of a member. */
  readonly enter: (member: EtcdMemberState, command: readonly string[]) => readonly string[];
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
  readonly members: readonly EtcdMember[];
  readonly #encrypted: boolean;

  private constructor(options: EtcdOptions, program: string, env: Readonly<Record<string, string>>) {
    const { certificates, paths, mark, onEvent } = options;
    this.#encrypted = certificates !== null;
    this.members = options.members.map((state) => {
      const command = options.enter(state, [program, ...memberArguments(options, state)]);
      const own = {
        name: state.name,
        command,
        env: { ...env, ...mark },
        log: join(paths.logs, `${state.name}.log`),
        user: null,
        workingFolder: paths.etcd,
        yieldMs: 0,
        runsElsewhere: () => false,
      };
      return new EtcdMember({
        program: own,
        node: state.node ?? null,
        url: clientUrl(options, state),
        certificates: certificates?.get(state.name) ?? null,
        onEvent,
      });
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
    for (const member of etcd.members) member.start();
    try {
      await etcd.#waitUntilReady(options.signal);
      return etcd;
    } catch (error) {
      await etcd.stop();
      throw error;
    }
  }

  get processes(): readonly ProcessInfo[] {
    return this.members.flatMap(({ processes }) => processes);
  }

  /** The member on a node's host; null when it has none. */
  on(node: string): EtcdMember | null {
    return this.members.find((member) => member.node === node) ?? null;
  }

  /** What a node's configuration says about this store. @param own the node's certificates, if it has some */
  storeOf(own: NodeCertificates | null): NodeConfigInput['store'] {
    const endpoints = this.members.map(({ url }) => url);
    if (own === null || !this.#encrypted) return { kind: 'etcd', endpoints };
    return { kind: 'etcd', endpoints, tls: { caFile: own.ca, certFile: own.cert, keyFile: own.key } };
  }

  /** Makes a member lead, as far as the others let it. @throws LocalError `STORE_FAILED` when it does not in time. */
  async makeLead(member: EtcdMember, signal?: AbortSignal): Promise<void> {
    const led = await pollUntil(
      async () => {
        const views = await Promise.all(this.members.map((one) => one.look()));
        const wanted = views[this.members.indexOf(member)] ?? null;
        if (wanted === null) return null;
        if (views.every((view) => view?.leader === wanted.id)) return true;
        const leader = this.members.find((_, index) => views[index]?.leader === views[index]?.id);
        await leader?.handOverTo(wanted.id);
        return null;
      },
      { everyMs: 50, timeoutMs: leadsWithinMs, signal },
    );
    if (led !== null) return;
    throw new LocalError('STORE_FAILED', `${member.name} did not become etcd's leader in ${leadsWithinMs / 1000} s.`);
  }

  /** Ends every member at once. Nothing is started again before the members are. */
  async kill(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop(5000)));
  }

  async #waitUntilReady(signal: AbortSignal | undefined): Promise<void> {
    const ready = await pollUntil(
      async () => {
        const answers = await Promise.all(this.members.map((member) => member.isHealthy()));
        return answers.every(Boolean) ? true : null;
      },
      { everyMs: 50, timeoutMs: etcdReadyMs, signal },
    );
    if (ready !== null) return;
    const logs = await Promise.all(this.members.map(async ({ name, log }) => `${name}: ${await tailOf(log, 3)}`));
    throw new LocalError('STORE_FAILED', `etcd was not ready within ${etcdReadyMs / 1000} s.\n${logs.join('\n')}`);
  }
}

const scheme = ({ certificates }: EtcdOptions): 'http' | 'https' => (certificates === null ? 'http' : 'https');

const clientUrl = (options: EtcdOptions, member: EtcdMemberState): string =>
  `${scheme(options)}://${options.addressOf(member)}:${member.clientPort}`;

function memberArguments(options: EtcdOptions, member: EtcdMemberState): string[] {
  const { addressOf, members, clusterId, paths, certificates } = options;
  const peer = (one: EtcdMemberState): string => `${scheme(options)}://${addressOf(one)}:${one.peerPort}`;
  const client = clientUrl(options, member);
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
    '--heartbeat-interval=50',
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
  await removeTree(paths.etcd);
}
