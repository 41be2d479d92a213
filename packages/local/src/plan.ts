import { resolve } from 'node:path';
import { LocalError } from './errors.ts';
import { type ClusterPaths, clusterPaths, defaultFolder } from './folder.ts';
import type { LocalClusterOptions } from './options.ts';
import { findFreePorts, isPortFree } from './ports.ts';
import { engineFacts, isSameVersion, type LocalEngine } from './server.ts';
import { type ClusterState, type NodeState, newClusterId, readState, type StoreState, writeState } from './state.ts';

const namespaceApiPort = 8008;
const etcdPorts = { clientPort: 2379, peerPort: 2380 };
const loopback = '127.0.0.1';

/** Folder that these options mean. */
export async function folderOf(options: Pick<LocalClusterOptions, 'name' | 'folder'>): Promise<string> {
  return options.folder === undefined ? defaultFolder(options.name ?? 'default') : resolve(options.folder);
}

/**
 * The state of the cluster to start: the one kept in the folder, or a new one. Options that contradict a kept one are refused, because
 * data cannot change its engine or version, and a cluster its store, by being started.
 *
 * @param version major version or series that a new cluster gets
 * @throws LocalError `STATE_INVALID` naming the contradiction, `NO_FREE_PORT`
 */
export async function planState(folder: string, options: LocalClusterOptions, version: string): Promise<ClusterState> {
  const paths = clusterPaths(folder);
  const kept = await readState(paths);
  if (kept !== null) {
    refuseContradictions(folder, kept, options);
    return changed(paths, kept, options);
  }
  const nodes = await newNodes(options);
  const taken = new Set(nodes.flatMap((node) => [node.apiPort, node.dbPort]));
  const state: ClusterState = {
    format: 1,
    id: newClusterId(),
    name: options.name ?? 'default',
    engine: options.engine ?? 'postgres',
    version,
    durability: options.durability ?? 'sync',
    tls: options.tls ?? 'all',
    nodes,
    store: options.etcdHosts === 'nodes' ? storeOnHosts(options, nodes) : await newStore(options, taken),
  };
  await writeState(paths, state);
  return state;
}

/** A kept cluster with the settings that a start may change. */
async function changed(paths: ClusterPaths, kept: ClusterState, options: LocalClusterOptions): Promise<ClusterState> {
  const state = { ...kept, durability: options.durability ?? kept.durability, tls: options.tls ?? kept.tls };
  if (state.tls === kept.tls) return state;
  if (kept.store.kind === 'etcd' && [state.tls, kept.tls].includes('all')) {
    const text = `The etcd of the cluster in ${paths.folder} was made for TLS "${kept.tls}", and its members know each other by their addresses.`;
    throw new LocalError('STATE_INVALID', text, { next: 'Start it without that option, or make a new cluster.' });
  }
  await writeState(paths, state);
  return state;
}

/** Which server a kept cluster has; null for a new one. */
export async function keptServer(
  folder: string,
): Promise<{ readonly engine: LocalEngine; readonly version: string } | null> {
  return readState(clusterPaths(folder));
}

function refuseContradictions(folder: string, kept: ClusterState, options: LocalClusterOptions): void {
  const isKeptVersion = options.version !== undefined && isSameVersion(kept.version, options.version);
  const asked: readonly [string, string | number | undefined, string | number][] = [
    ['name', options.name, kept.name],
    ['engine', options.engine, kept.engine],
    ['version', isKeptVersion ? kept.version : options.version, kept.version],
    ['number of nodes', options.nodes, kept.nodes.length],
    ['store', options.store, kept.store.kind],
  ];
  const different = asked.filter(([, wanted, has]) => wanted !== undefined && wanted !== has);
  if (different.length === 0) return;
  const list = different.map(([what, wanted, has]) => `${what} ${wanted} (the cluster there has ${has})`).join(', ');
  throw new LocalError('STATE_INVALID', `${folder} holds a cluster already, and it cannot be given another ${list}.`, {
    next: 'Start it without that option, choose another folder, or destroy it first.',
  });
}

async function newNodes(options: LocalClusterOptions): Promise<NodeState[]> {
  const count = options.nodes ?? 3;
  if (!Number.isInteger(count) || count < 1 || count > 9) {
    throw new LocalError('STATE_INVALID', `${count} nodes are not possible; choose 1 to 9.`);
  }
  const names = Array.from({ length: count }, (_, index) => `n${index + 1}`);
  if (options.hosts === 'namespaces') {
    const dbPort = engineFacts[options.engine ?? 'postgres'].port;
    return names.map((name, index) => ({ name, apiPort: namespaceApiPort, dbPort, ...serverId(options, index) }));
  }
  const ports = await findFreePorts(loopback, 2 * count, new Set());
  return names.map((name, index) => ({
    name,
    dbPort: portAt(ports, index),
    apiPort: portAt(ports, count + index),
    ...serverId(options, index),
  }));
}

/** Numbered from 1 and kept with the node, so that no two are ever the same. */
function serverId({ engine = 'postgres' }: LocalClusterOptions, index: number): { readonly serverId?: number } {
  return engine === 'postgres' ? {} : { serverId: index + 1 };
}

async function newStore(options: LocalClusterOptions, taken: ReadonlySet<number>): Promise<StoreState> {
  if (options.store !== 'etcd') return { kind: 'local' };
  const count = options.etcdMembers ?? 1;
  const ports = await findFreePorts(loopback, 2 * count, taken);
  const members = Array.from({ length: count }, (_, index) => ({
    name: `etcd${index + 1}`,
    clientPort: portAt(ports, index),
    peerPort: portAt(ports, count + index),
  }));
  return { kind: 'etcd', members };
}

/** etcd as the guide for three hosts lays it out: a member beside each of the first databases. */
function storeOnHosts(options: LocalClusterOptions, nodes: readonly NodeState[]): StoreState {
  const count = options.etcdMembers ?? 3;
  if (options.store !== 'etcd' || options.hosts !== 'namespaces' || nodes.length < count) {
    const text = `etcd on the nodes' hosts needs the store etcd, network namespaces and at least ${count} nodes.`;
    throw new LocalError('STATE_INVALID', text);
  }
  const members = nodes
    .slice(0, count)
    .map(({ name: node }, index) => ({ name: `etcd${index + 1}`, node, ...etcdPorts }));
  return { kind: 'etcd', members };
}

function portAt(ports: readonly number[], index: number): number {
  const port = ports[index];
  if (port === undefined) throw new LocalError('NO_FREE_PORT', 'Fewer free ports were found than are needed.');
  return port;
}

/**
 * Gives a port of its own to every node whose port somebody has taken since the last start. Called when nothing of the cluster runs.
 *
 * @returns the state to use (written down when it changed), and a sentence for each change.
 * @throws LocalError `STORE_FAILED` when a port of etcd's is taken: its members know each other by them.
 */
export async function claimPorts(
  folder: string,
  state: ClusterState,
): Promise<{ readonly state: ClusterState; readonly notices: readonly string[] }> {
  const notices: string[] = [];
  const all = new Set(state.nodes.flatMap((node) => [node.apiPort, node.dbPort]));
  const claim = async (port: number, what: string): Promise<number> => {
    if (await isPortFree(loopback, port)) return port;
    const fresh = portAt(await findFreePorts(loopback, 1, all), 0);
    all.add(fresh);
    notices.push(`Port ${port} of ${what} is used by another program now; it moved to ${fresh}.`);
    return fresh;
  };
  const nodes: NodeState[] = [];
  for (const node of state.nodes) {
    const dbPort = await claim(node.dbPort, `${node.name}'s database`);
    nodes.push({ ...node, dbPort, apiPort: await claim(node.apiPort, `${node.name}'s agent`) });
  }
  if (state.store.kind === 'etcd') await refuseTakenEtcdPorts(state.store.members);
  if (notices.length === 0) return { state, notices };
  const changed = { ...state, nodes };
  await writeState(clusterPaths(folder), changed);
  return { state: changed, notices };
}

async function refuseTakenEtcdPorts(
  members: readonly { readonly clientPort: number; readonly peerPort: number }[],
): Promise<void> {
  for (const port of members.flatMap((member) => [member.clientPort, member.peerPort])) {
    if (await isPortFree(loopback, port)) continue;
    throw new LocalError('STORE_FAILED', `Port ${port} of the cluster's etcd is used by another program.`, {
      next: 'End that one, then try again.',
    });
  }
}
