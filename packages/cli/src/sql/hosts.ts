import { ClusterClient } from '../client/cluster.ts';
import type { Target } from '../client/target.ts';
import type { Host } from './connect.ts';

/** Where the servers of a cluster listen: as its agents say, the leader first. */
export async function hostsOf(target: Target): Promise<readonly Host[]> {
  if (target.folder !== null) {
    const { describeCluster } = await import('@understudy/local');
    const found = await describeCluster({ folder: target.folder });
    if (found !== null) return found.nodes.map(({ name, host, dbPort }) => ({ name, host, port: dbPort }));
  }
  const { status } = await new ClusterClient(target).look();
  // A client tries the hosts in their order: the leader first saves it a connection.
  const members = status.members.toSorted((a, b) => Number(b.id === status.leader) - Number(a.id === status.leader));
  return members.flatMap(({ id, host, port }) => (host === null || port === null ? [] : [{ name: id, host, port }]));
}
