import type { LocalCluster } from '@understudy/local';
import type { Database } from '../database/database.ts';
import { databaseFor } from '../database/index.ts';
import type { Session, Target } from '../database/session.ts';
import { adminTarget } from './targets.ts';

const connectTimeoutMs = 15_000;

/** Runs `work` over a connection of its own to a node, as the superuser over the network. @throws Error when the node cannot be reached */
export async function withAdmin<T>(
  cluster: LocalCluster,
  node: string,
  database: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  return withSession(databaseFor(cluster), adminTarget(cluster, node, database), work);
}

/** Runs `work` over a connection of its own. @throws Error when the server cannot be reached */
export async function withSession<T>(
  database: Database,
  target: Target,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await database.open(target, connectTimeoutMs);
  if (session === null) throw new Error(`${target.node} does not let us in at ${target.host}:${target.port}.`);
  try {
    return await work(session);
  } finally {
    session.destroy();
  }
}
