import { ClusterClient } from '../client/cluster.ts';
import type { Target } from '../client/target.ts';
import type { Host } from './session.ts';

/** The servers of a cluster. */
export interface Servers {
  /** As its agents call it: `postgres`, `mysql`, `mariadb`. */
  readonly engine: string;
  readonly hosts: readonly Host[];
  /** File of the authority of the servers' certificates, where it is known here. */
  readonly caFile?: string | null;
}

/** Where the servers of a cluster listen: as its folder says, otherwise as its agents say, the leader first. */
export async function serversOf(target: Target): Promise<Servers> {
  const pair = await pairServers(target);
  if (pair !== null) return pair;
  if (target.folder !== null) {
    const { describeCluster } = await import('@understudy/local');
    const found = await describeCluster({ folder: target.folder });
    if (found !== null) {
      const hosts = found.nodes.map(({ name, host, dbPort }) => ({ name, host, port: dbPort }));
      return { engine: found.state.engine, hosts, caFile: found.databaseCaFile };
    }
  }
  return servingOrder(target);
}

/** As the agents say now: the leader first, then the replicas that stream from it, then the others. */
export async function servingOrder(target: Target): Promise<Servers & { readonly leader: string | null }> {
  const pair = await pairServers(target);
  if (pair !== null) return pair;
  const { status } = await new ClusterClient(target).look();
  const rank = ({ id, receiver }: (typeof status.members)[number]): number =>
    id === status.leader ? 2 : Number(receiver?.kind === 'streaming');
  // A client tries the hosts in their order: the leader first saves it a connection.
  const members = status.members.toSorted((a, b) => rank(b) - rank(a));
  const hosts = members.flatMap(({ id, host, port }) =>
    host === null || port === null ? [] : [{ name: id, host, port }],
  );
  return { engine: status.engine, hosts, leader: status.phase === 'open' ? status.leader : null };
}

/** The servers of a circular pair, the active one first; null for a cluster. */
async function pairServers({ urls, folder }: Target): Promise<(Servers & { readonly leader: string | null }) | null> {
  if (urls.length > 0 || folder === null) return null;
  const [{ describePair }, { mysqlSocketOf }, { nodePaths, socketFolderOf }] = await Promise.all([
    import('@understudy/pair'),
    import('@understudy/local'),
    import('@understudy/local/parts'),
  ]);
  const found = await describePair({ folder });
  if (found === null) return null;
  const { engine, nodes, active } = found.file;
  const order = active === 'n1' ? (['n1', 'n2'] as const) : (['n2', 'n1'] as const);
  const socket = (name: string): string => mysqlSocketOf({ socketFolder: socketFolderOf(nodePaths(folder, name)) });
  const hosts = order.map((name) => ({ name, host: '127.0.0.1', port: nodes[name].dbPort, socket: socket(name) }));
  return { engine, hosts, leader: active };
}
