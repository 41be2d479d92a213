import { reasonOf, throwIfInterrupted } from '@understudy/base';
import { PathError, removeTree } from '@understudy/engine/host';
import type { FetchProgress } from '@understudy/servers';
import { authorityFile, authorityText, type CertificatesOf, ensureCertificates } from './certificates.ts';
import { LocalError } from './errors.ts';
import { type ClusterPaths, clusterPaths, nodePaths, outsideRunFolder, prepareFolders } from './folder.ts';
import { stopLeftovers } from './leftovers.ts';
import { type FolderLock, lockFolder } from './lock.ts';
import { type DatabaseLogin, ensureLogin, loginOf } from './login.ts';
import { Network } from './network/network.ts';
import { clusterVariable, LocalNode, socketFolderOf } from './node.ts';
import { nodeConfig, writeNodeConfig } from './node-config.ts';
import type { LocalClusterOptions, StartPhase, StartProgress } from './options.ts';
import { claimPorts, folderOf, keptServer, planState } from './plan.ts';
import { statusOf, waitUntilReady } from './ready.ts';
import { type ClusterSecrets, ensureSecrets } from './secrets.ts';
import { engineFacts, findServer, type LocalServer, reachableServer } from './server.ts';
import { killAll } from './signals.ts';
import { apiScheme, type ClusterState } from './state.ts';
import { LocalEtcd } from './store.ts';

export interface StartOptions {
  /** How long until the cluster has to be whole, servers fetched not counted; default 120 s. */
  readonly timeoutMs?: number;
  /** `wanted`: a cluster that is not whole in time goes on if it can be used, with a notice. Default: it is stopped. */
  readonly whole?: 'required' | 'wanted';
  readonly signal?: AbortSignal;
}

/** What only a started cluster has. */
interface Running {
  readonly state: ClusterState;
  readonly secrets: ClusterSecrets;
  readonly server: LocalServer;
  readonly network: Network | null;
  readonly etcd: LocalEtcd | null;
  /** Texts of the cluster's authorities; null: nothing is encrypted. */
  readonly ca: { readonly database: string | null; readonly api: string | null };
  /** Null: nothing is encrypted. */
  readonly certificates: CertificatesOf | null;
  readonly nodes: readonly LocalNode[];
}

const loopback = '127.0.0.1';
const startTimeoutMs = 120_000;
const loginAttempts = 3;
const plainNotice =
  'Nothing is encrypted: whoever takes a port of this cluster while it is stopped is told its token and passwords. Encrypt it: up --tls all.';

/**
 * Claims a folder for a cluster on this machine; `start` then runs it. Used by `understudy up` and by the drill.
 *
 * @throws LocalError `CLUSTER_BUSY` when another process runs it; `FOLDER_UNUSABLE`
 */
export async function createLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const folder = await folderOf(options);
  await prepareFolders(folder, []);
  const lock = lockFolder(clusterPaths(folder));
  return new LocalCluster(folder, lock, options);
}

/** A cluster whose agents, servers and store are processes of this machine, started and ended by this object. */
export class LocalCluster {
  readonly folder: string;
  readonly paths: ClusterPaths;
  readonly #options: LocalClusterOptions;
  readonly #lock: FolderLock;
  #running: Running | null = null;
  /** Known before anything is started, and still after everything was stopped. */
  #planned: ClusterState | null = null;

  constructor(folder: string, lock: FolderLock, options: LocalClusterOptions) {
    this.folder = folder;
    this.paths = clusterPaths(folder);
    this.#lock = lock;
    this.#options = options;
  }

  get nodes(): readonly LocalNode[] {
    return this.#get().nodes;
  }

  get state(): ClusterState {
    return this.#get().state;
  }

  get server(): LocalServer {
    return this.#get().server;
  }

  get etcd(): LocalEtcd | null {
    return this.#get().etcd;
  }

  get network(): Network | null {
    return this.#get().network;
  }

  /** The authority of the agents' certificates; null: nothing is encrypted. */
  get caFile(): string | null {
    return authorityFile(this.paths, this.state, 'api');
  }

  /** The authority of the servers' certificates; null: nothing is encrypted. */
  get databaseCaFile(): string | null {
    return authorityFile(this.paths, this.state, 'database');
  }

  /** The superuser; the password is also in the secrets file of the folder. */
  get login(): DatabaseLogin {
    const { state, secrets, ca } = this.#get();
    return loginOf(state.engine, secrets.superuser, ca.database);
  }

  node(name: string): LocalNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new LocalError('API_FAILED', `There is no node "${name}" in this cluster.`);
    return found;
  }

  /**
   * Starts the cluster and waits until it is whole: an open leader, every other node streaming from it. A new one is founded first.
   *
   * @returns the leader's name.
   * @throws LocalError; everything that was started is stopped again then. With `whole: 'wanted'` not for a member that does not come.
   */
  async start(options: StartOptions = {}): Promise<string> {
    const { timeoutMs = startTimeoutMs, signal } = options;
    try {
      await this.launch(signal);
      const leader = await waitUntilReady(this.nodes, {
        timeoutMs,
        signal,
        onProgress: (progress) => this.#tell(progress),
        onShort: options.whole === 'wanted' ? (why) => this.#notice(shortText(why)) : undefined,
      });
      return await this.#configure(leader, options);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Starts everything without waiting for the cluster to be whole. */
  async launch(signal?: AbortSignal): Promise<void> {
    if (this.#running !== null) return;
    const server = await this.#findServer();
    throwIfInterrupted(signal);
    const planned = await planState(this.folder, this.#options, server.series);
    this.#planned = planned;
    this.#say('leftovers', 'looking for processes of an earlier start');
    const ended = await stopLeftovers(this.folder, planned);
    if (ended > 0) this.#notice(`Stopped ${ended} processes that an earlier start had left behind.`);
    const reachable = await reachableServer(server);
    await prepareFolders(
      this.folder,
      planned.nodes.map((node) => node.name),
    );
    if (planned.tls === 'off') this.#notice(plainNotice);
    const secrets = await ensureSecrets(this.paths);
    const network = await this.#makeNetwork(planned);
    try {
      const state = network === null ? await this.#claimPorts(planned) : planned;
      throwIfInterrupted(signal);
      const certificates = await this.#makeCertificates(state, network);
      const etcd = await this.#startEtcd(state, network, state.tls === 'all' ? certificates : null, signal);
      const ca = {
        database: await authorityText(this.paths, state, 'database'),
        api: await authorityText(this.paths, state, 'api'),
      };
      this.#running = { state, secrets, server: reachable, network, etcd, ca, certificates, nodes: [] };
      await this.#startNodes();
    } catch (error) {
      if (this.#running === null) await network?.remove();
      throw error;
    }
  }

  /**
   * Stops everything in order and lets go of the folder: replicas first, so that none of them takes the leader's end for a failure.
   * Can be called twice.
   */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    try {
      if (running === null) return;
      const leader = (await statusOf(running.nodes, 500))?.leader ?? null;
      const first = running.nodes.filter((node) => node.name !== leader);
      await Promise.all(first.map((node) => node.stop()));
      await Promise.all(running.nodes.filter((node) => node.name === leader).map((node) => node.stop()));
      await running.etcd?.stop();
    } finally {
      await running?.network?.remove();
      this.#lock.release();
    }
  }

  /**
   * Kills every process of the cluster at once, also while a start or a stop is under way. Nothing acknowledged is lost by it: servers
   * recover at the next start.
   */
  async kill(): Promise<void> {
    if (this.#planned === null) return;
    await killAll({ variable: `${clusterVariable}=${this.#planned.id}`, folder: this.folder });
  }

  /** Stops everything at once, without order, and removes the folder with all data. */
  async destroy(): Promise<void> {
    const running = this.#running;
    await Promise.all((running?.nodes ?? []).map((node) => node.killHost()));
    await this.stop();
    await removeFolder(this.folder);
  }

  async #findServer(): Promise<LocalServer> {
    const { binDir = null } = this.#options;
    const kept = await keptServer(this.folder);
    const engine = this.#options.engine ?? kept?.engine ?? 'postgres';
    const version = this.#options.version ?? (kept?.engine === engine ? kept.version : null);
    this.#say('servers', `looking for ${engineFacts[engine].title}`);
    return findServer({
      engine,
      version,
      binDir,
      onProgress: (fetch) => this.#fetching('servers', fetch),
    });
  }

  #fetching(phase: StartPhase, fetch: FetchProgress): void {
    if (fetch.step === 'notice') this.#notice(fetch.text);
    else this.#tell({ phase, text: fetch.text, fraction: fetch.fraction, nodes: [], fetch });
  }

  async #makeNetwork(state: ClusterState): Promise<Network | null> {
    if (this.#options.hosts !== 'namespaces') return null;
    this.#say('network', 'making network namespaces');
    return Network.create(state.nodes.map((node) => node.name));
  }

  async #claimPorts(planned: ClusterState): Promise<ClusterState> {
    const { state, notices } = await claimPorts(this.folder, planned);
    for (const text of notices) this.#notice(text);
    return state;
  }

  async #makeCertificates(state: ClusterState, network: Network | null): Promise<Running['certificates']> {
    if (state.tls === 'off') return null;
    const nodes = state.nodes.map(({ name }) => ({ name, address: network?.hosts.get(name)?.address ?? loopback }));
    const isStoreEncrypted = state.tls === 'all' && state.store.kind === 'etcd';
    const members = state.store.kind === 'etcd' ? state.store.members : [];
    const ofStore = members.map((one) => ({ name: one.name, address: etcdAddress(network, one.node) }));
    const holders = { database: nodes, api: nodes, etcd: isStoreEncrypted ? [...nodes, ...ofStore] : [] };
    const { of, notices } = await ensureCertificates(this.paths, state.name, holders);
    for (const text of notices) this.#notice(text);
    return of;
  }

  async #startEtcd(
    state: ClusterState,
    network: Network | null,
    certificates: Running['certificates'],
    signal?: AbortSignal,
  ): Promise<LocalEtcd | null> {
    if (state.store.kind !== 'etcd') return null;
    this.#say(
      'store',
      `starting etcd (${state.store.members.length} member${state.store.members.length === 1 ? '' : 's'})`,
    );
    const { etcdVersion } = this.#options;
    return LocalEtcd.start({
      paths: this.paths,
      clusterId: state.id,
      members: state.store.members,
      addressOf: ({ node }) => etcdAddress(network, node),
      enter: ({ node }, command) => (node === undefined ? command : (network?.enter(node, command) ?? command)),
      certificates: certificates?.etcd ?? null,
      ...(etcdVersion === undefined ? {} : { version: etcdVersion }),
      mark: { [clusterVariable]: state.id },
      onEvent: (event) => this.#options.onEvent?.(event),
      onFetch: (fetch) => this.#fetching('store', fetch),
      signal,
    });
  }

  async #startNodes(): Promise<void> {
    const running = this.#get();
    const nodes: LocalNode[] = [];
    for (const { name } of running.state.nodes) nodes.push(await this.#makeNode(running, name));
    this.#running = { ...running, nodes };
    this.#say('agents', 'starting the agents');
    for (const node of nodes) node.start();
  }

  async #makeNode(running: Running, name: string): Promise<LocalNode> {
    const { state, secrets, server, network, etcd, ca, certificates } = running;
    const kept = state.nodes.find((node) => node.name === name);
    if (kept === undefined) throw new LocalError('STATE_INVALID', `The state file does not know node ${name}.`);
    const paths = nodePaths(this.folder, name);
    const host = network?.hosts.get(name)?.address ?? loopback;
    const scheme = apiScheme(state);
    const config = nodeConfig(
      {
        cluster: state.name,
        member: name,
        host,
        apiPort: kept.apiPort,
        dbPort: kept.dbPort,
        store: etcd?.storeOf(certificates?.etcd.get(name) ?? null) ?? { kind: 'local', path: this.paths.storeFile },
        engine: server.engine,
        binDir: server.binDir,
        serverId: kept.serverId ?? null,
        version: state.version,
        parameters: this.#options.parameters ?? {},
        zone: null,
        databaseTls: certificates?.database.get(name) ?? null,
        apiTls: scheme === 'https' ? (certificates?.api.get(name) ?? null) : null,
        logLevel: this.#options.logLevel ?? 'info',
      },
      this.paths,
      paths,
    );
    await writeNodeConfig(config, paths);
    const command = [...this.#options.command, 'agent', '--config', paths.config];
    return new LocalNode({
      address: {
        name,
        host,
        dbPort: kept.dbPort,
        apiUrl: `${scheme}://${host}:${kept.apiPort}`,
        socketFolder: socketFolderOf(paths),
      },
      paths,
      clusterId: state.id,
      command: network?.enter(name, command) ?? command,
      token: secrets.token,
      ca: ca.api,
      storeMember: etcd?.on(name) ?? null,
      onEvent: (event) => this.#options.onEvent?.(event),
    });
  }

  /** What an operator would set by `config set`: durability, and whatever the caller asked for. */
  async #configure(found: string, options: StartOptions): Promise<string> {
    const { state } = this.#get();
    const leader = state.engine === 'postgres' ? found : await this.#makeLogin(state.engine, found, options);
    const status = await statusOf(this.nodes);
    const patch = {
      ...(status !== null && status.durability !== state.durability ? { durability: state.durability } : {}),
      ...this.#options.config,
    };
    if (Object.keys(patch).length > 0) await this.node(leader).api.patchConfig(patch);
    return leader;
  }

  /** The leader may change while it is done: then it is done again on the next one. Returns the leader on which it was done. */
  async #makeLogin(engine: 'mysql' | 'mariadb', found: string, options: StartOptions): Promise<string> {
    let leader = found;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await ensureLogin(engine, this.node(leader).address, this.login);
        return leader;
      } catch (error) {
        if (attempt === loginAttempts || options.signal?.aborted === true) throw error;
        this.#notice(`${reasonOf(error)} It is tried again.`);
      }
      const { timeoutMs = startTimeoutMs, signal } = options;
      leader = await waitUntilReady(this.nodes, { timeoutMs, signal, onProgress: (progress) => this.#tell(progress) });
    }
  }

  #get(): Running {
    if (this.#running === null) throw new LocalError('API_FAILED', 'The cluster is not started.');
    return this.#running;
  }

  #say(phase: StartPhase, text: string): void {
    this.#tell({ phase, text, fraction: null, nodes: [] });
  }

  #tell(progress: StartProgress): void {
    this.#options.onProgress?.(progress);
  }

  #notice(text: string): void {
    this.#options.onEvent?.({ kind: 'notice', text });
  }
}

/** Where a member of etcd listens: on its node's host, or on this machine itself. */
const etcdAddress = (network: Network | null, node: string | undefined): string =>
  (node === undefined ? network?.address : network?.hosts.get(node)?.address) ?? loopback;

/** What somebody reads whose cluster goes on without a member. */
const shortText = (why: string): string =>
  `The cluster is not healthy, and goes on without what is missing: ${why}. "understudy status" shows how it stands.`;

/** Removes a cluster's folder, and the one for its sockets. */
export async function removeFolder(folder: string): Promise<void> {
  try {
    await removeTree(outsideRunFolder(folder)).catch((error: unknown) => {
      // Somebody else's folder of that name was never used.
      if (!(error instanceof PathError)) throw error;
    });
    await removeTree(folder);
  } catch (error) {
    throw new LocalError('FOLDER_UNUSABLE', `Could not remove ${folder}: ${reasonOf(error)}.`, { cause: error });
  }
}
