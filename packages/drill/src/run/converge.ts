import { monotonicMs, pollUntil } from '@understudy/base';
import { type LocalCluster, readinessOf, statusOf } from '@understudy/local';
import { databaseFor } from '../database/index.ts';
import { withAdmin } from './sql.ts';

export type Convergence =
  | { readonly kind: 'converged'; readonly leader: string; readonly tookMs: number }
  | { readonly kind: 'not-converged'; readonly why: string };

/** Waits until the cluster is whole again: an open leader that takes writes, and every other node streaming from it with nothing left to replay. */
export async function waitUntilConverged(
  cluster: LocalCluster,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Convergence> {
  const startedMs = monotonicMs();
  let why = 'nothing was heard';
  const leader = await pollUntil(
    async () => {
      const readiness = readinessOf(await statusOf(cluster.nodes), cluster.nodes.length);
      if (readiness.kind === 'not-ready') {
        why = readiness.why;
        return null;
      }
      const problem = await behind(cluster, readiness.leader, signal).catch((error: unknown) => String(error));
      if (problem !== null) why = problem;
      return problem === null ? readiness.leader : null;
    },
    { everyMs: 100, timeoutMs, signal },
  );
  return leader === null
    ? { kind: 'not-converged', why: `after ${Math.round(timeoutMs / 1000)} s: ${why}` }
    : { kind: 'converged', leader, tookMs: monotonicMs() - startedMs };
}

/** While clients write, the leader is always a little ahead; a node that keeps up has what was there before within this time. */
const catchUpMs = 1000;

/** Who does not have everything that the leader has now; null when all do. The servers are asked themselves, not their agents. */
async function behind(cluster: LocalCluster, leader: string, signal: AbortSignal): Promise<string | null> {
  const database = databaseFor(cluster);
  const end = await withAdmin(cluster, leader, database.adminDatabase, (session) => database.end(session));
  for (const { name } of cluster.nodes) {
    if (name === leader) continue;
    const problem = await withAdmin(cluster, name, database.adminDatabase, (session) =>
      lasting(() => database.behind(session, end), { everyMs: 20, timeoutMs: catchUpMs, signal }),
    );
    if (problem !== null) return `${name} ${problem}`;
  }
  return null;
}

/** The problem that `ask` still tells of when the time is over; null as soon as there is none. */
export async function lasting(
  ask: () => Promise<string | null>,
  timing: Parameters<typeof pollUntil>[1],
): Promise<string | null> {
  let problem: string | null = null;
  await pollUntil(async () => {
    problem = await ask();
    return problem === null ? true : null;
  }, timing);
  return problem;
}
