import { type LocalCluster, readinessOf, statusOf } from '@understudy/local';
import { nowMs, pollUntil } from '../time.ts';
import { adminTarget, textOf, withSession } from './sql.ts';

export type Convergence =
  | { readonly kind: 'converged'; readonly leader: string; readonly tookMs: number }
  | { readonly kind: 'not-converged'; readonly why: string };

/** Waits until the cluster is whole again: an open leader that takes writes, and every other node streaming from it with nothing left to replay. */
export async function waitUntilConverged(
  cluster: LocalCluster,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Convergence> {
  const startedMs = nowMs();
  let why = 'nothing was heard';
  const leader = await pollUntil(
    async () => {
      const readiness = readinessOf(await statusOf(cluster.nodes), cluster.nodes.length);
      if (readiness.kind === 'not-ready') {
        why = readiness.why;
        return null;
      }
      const problem = await behind(cluster, readiness.leader).catch((error: unknown) => String(error));
      if (problem !== null) why = problem;
      return problem === null ? readiness.leader : null;
    },
    { everyMs: 100, timeoutMs, signal },
  );
  return leader === null
    ? { kind: 'not-converged', why: `after ${Math.round(timeoutMs / 1000)} s: ${why}` }
    : { kind: 'converged', leader, tookMs: nowMs() - startedMs };
}

/** Who does not have everything yet; null when all do. The servers are asked themselves, not their agents. */
async function behind(cluster: LocalCluster, leader: string): Promise<string | null> {
  const end = await withSession(adminTarget(cluster, leader, 'postgres'), async (session) => {
    await session.rows('select pg_current_wal_insert_lsn()');
    return textOf(await session.rows('select pg_current_wal_lsn()::text as lsn'), 'lsn');
  });
  for (const { name } of cluster.nodes) {
    if (name === leader) continue;
    const rows = await withSession(adminTarget(cluster, name, 'postgres'), (session) =>
      session.rows(
        `select pg_is_in_recovery() as replica, (pg_last_wal_replay_lsn() >= $1::pg_lsn)::text as reached, pg_last_wal_replay_lsn()::text as at`,
        [end],
      ),
    );
    if (rows[0]?.replica !== true) return `${name} is not a replica`;
    if (textOf(rows, 'reached') !== 'true') return `${name} has replayed to ${textOf(rows, 'at')}, not yet to ${end}`;
  }
  return null;
}
