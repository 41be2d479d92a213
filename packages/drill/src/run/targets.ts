import type { LocalCluster, LocalNode } from '@understudy/local';
import { drillDatabase, drillRole } from '../database/database.ts';
import { databaseFor } from '../database/index.ts';
import type { Target } from '../database/session.ts';

/**
 * Whose certificates the servers must have. Within hosts of their own nobody else can take their ports, and the figures are compared
 * with others that are measured without TLS.
 */
const authorityFor = ({ network, login }: LocalCluster): string | null => (network === null ? login.ca : null);

/** The nodes as an application reaches them. */
export function networkTargets(cluster: LocalCluster, password: string): Target[] {
  return cluster.nodes.map(({ address }) => ({
    node: address.name,
    host: address.host,
    port: address.dbPort,
    user: drillRole,
    password,
    database: drillDatabase,
    ca: authorityFor(cluster),
  }));
}

/** The superuser over the network, in any database. */
export function adminTarget(cluster: LocalCluster, node: string, database: string): Target {
  const { address } = cluster.node(node);
  const { user, password } = cluster.login;
  const ca = authorityFor(cluster);
  return { node, host: address.host, port: address.dbPort, user, password, database, ca };
}

/** A node over its Unix socket, as the superuser: reaches it whatever happens to the network. */
export function socketTarget(cluster: LocalCluster, node: LocalNode, database: string): Target {
  const { user, password } = cluster.login;
  const host = databaseFor(cluster).socketHost(node.address);
  return { node: node.name, host, port: node.address.dbPort, user, password, database, ca: null };
}

export function socketTargets(cluster: LocalCluster, database = drillDatabase): Target[] {
  return cluster.nodes.map((node) => socketTarget(cluster, node, database));
}
