import type { LocalCluster } from '@understudy/local';
import { databaseFor } from '../database/index.ts';
import type { Session } from '../database/session.ts';
import { adminTarget } from './targets.ts';

const connectTimeoutMs = 15_000;

/** Runs `work` over a connection of its own to a node, as the superuser over the network. @throws Error when the node cannot be reached */
export async function withAdmin<T>(
  cluster: LocalCluster,
  node: string,
  database: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const target = adminTarget(cluster, node, database);
  const session = await databaseFor(cluster).open(target, connectTimeoutMs);
  if (session === null) throw new Error(`${target.node} does not let us in at ${target.host}:${target.port}.`);
  try {
    return await work(session);
  } finally {
    session.destroy();
  }
}
