import type { LocalCluster } from '@understudy/local';
import { type Row, Session, type Target } from '../workload/session.ts';

const connectTimeoutMs = 15_000;

/** Runs `work` over a connection of its own. @throws Error when the node cannot be reached */
export async function withSession<T>(target: Target, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await Session.open(target, connectTimeoutMs);
  if (session === null) throw new Error(`${target.node} does not let us in at ${target.host}:${target.port}.`);
  try {
    return await work(session);
  } finally {
    session.destroy();
  }
}

/** One text column of the first row. */
export function textOf(rows: readonly Row[], column: string): string {
  return String(rows[0]?.[column] ?? '');
}

/** The superuser over the network, in any database. */
export function adminTarget(cluster: LocalCluster, node: string, database: string): Target {
  const { address } = cluster.node(node);
  const { user, password } = cluster.login;
  return { node, host: address.host, port: address.dbPort, user, password, database };
}
