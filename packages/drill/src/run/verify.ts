import type { LocalCluster } from '@understudy/local';
import { checkSet, type Tried } from '../check/set.ts';
import { drillDatabase } from '../database/database.ts';
import { databaseFor } from '../database/index.ts';
import { companyContent, salariesTotal } from '../tour/company.ts';
import { withAdmin } from './sql.ts';

/** What was found on the nodes after everything had been healed. */
export interface Contents {
  /** `none`: the cluster did not come together, so the numbers say nothing. */
  readonly compared: 'all-nodes' | 'none';
  readonly lost: number;
  readonly resurrected: number;
  readonly unexpected: number;
  readonly recovered: number;
  /** A sentence for each thing that is wrong. */
  readonly problems: readonly string[];
}

/** Of a cluster that could not be compared. */
export const notCompared: Contents = {
  compared: 'none',
  lost: 0,
  resurrected: 0,
  unexpected: 0,
  recovered: 0,
  problems: ['contents were not compared'],
};

const readTimeoutMs = 60_000;
const replayTimeoutMs = 30_000;

/**
 * Reads every node and compares it with the history and with the primary.
 *
 * The primary is read after a write of its own: a server that only believes to be the primary cannot answer that.
 *
 * @param ops all inserts with ids from `fromId` on
 */
export async function verifyContents(
  cluster: LocalCluster,
  leader: string,
  ops: readonly Tried[],
  fromId: number,
): Promise<Contents> {
  const mark = await writeMark(cluster, leader);
  const order = [leader, ...cluster.nodes.map((node) => node.name).filter((name) => name !== leader)];
  const problems: string[] = [];
  const worst = { lost: 0, resurrected: 0, unexpected: 0, recovered: 0 };
  let expected: string | null = null;
  for (const node of order) {
    const { ids, content } = await readNode(cluster, node, mark, fromId);
    const verdict = checkSet(ops, ids);
    worst.lost = Math.max(worst.lost, verdict.lost.length);
    worst.resurrected = Math.max(worst.resurrected, verdict.resurrected.length);
    worst.unexpected = Math.max(worst.unexpected, verdict.unexpected.length);
    worst.recovered = Math.max(worst.recovered, verdict.recovered);
    for (const kind of ['lost', 'resurrected', 'unexpected'] as const) {
      if (verdict[kind].length > 0)
        problems.push(`${node}: ${verdict[kind].length} ${kind}: ${verdict[kind].slice(0, 10).join(', ')}`);
    }
    if (!content.includes(`salaries ${salariesTotal}`))
      problems.push(`${node}: company_db holds ${content}, salaries should be ${salariesTotal}`);
    expected ??= content;
    if (content !== expected) problems.push(`${node} differs from ${leader}: ${content}; ${expected}`);
  }
  return { compared: 'all-nodes', ...worst, problems };
}

/** Writes on the primary and returns where that ended: what a replica must have replayed before it is read. */
async function writeMark(cluster: LocalCluster, leader: string): Promise<string> {
  return withAdmin(cluster, leader, drillDatabase, (session) => databaseFor(cluster).mark(session, readTimeoutMs));
}

async function readNode(
  cluster: LocalCluster,
  node: string,
  mark: string,
  fromId: number,
): Promise<{ readonly ids: ReadonlySet<number>; readonly content: string }> {
  const database = databaseFor(cluster);
  const { ids, content } = await withAdmin(cluster, node, drillDatabase, async (session) => {
    await database.reach(session, mark, replayTimeoutMs);
    return {
      ids: await database.idsFrom(session, fromId, readTimeoutMs),
      content: await database.contentOf(session, 'ids', readTimeoutMs),
    };
  });
  return { ids, content: `ids ${content}; Employees ${await companyContent(cluster, node)}` };
}
