import type { LocalCluster, LocalNode } from '@understudy/local';
import type { Target } from '../workload/session.ts';
import { drillDatabase, drillRole } from '../workload/tables.ts';

/** The nodes as an application reaches them. */
export function networkTargets(cluster: LocalCluster, password: string): Target[] {
  return cluster.nodes.map(({ address }) => ({
    node: address.name,
    host: address.host,
    port: address.dbPort,
    user: drillRole,
    password,
    database: drillDatabase,
  }));
}

/** A node over its Unix socket, as the superuser, who is trusted there: reaches it whatever happens to the network. */
export function socketTarget(cluster: LocalCluster, node: LocalNode, database: string): Target {
  const { user, password } = cluster.login;
  return { node: node.name, host: node.address.socketFolder, port: node.address.dbPort, user, password, database };
}

export function socketTargets(cluster: LocalCluster, database = drillDatabase): Target[] {
  return cluster.nodes.map((node) => socketTarget(cluster, node, database));
}
