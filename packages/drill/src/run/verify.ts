import type { LocalCluster } from '@understudy/local';
import { checkSet, type Tried } from '../check/set.ts';
import { companyContent, salariesTotal } from '../tour/company.ts';
import { contentSum, drillDatabase } from '../workload/tables.ts';
import { adminTarget, textOf, withSession } from './sql.ts';

/** What was found on the nodes after everything had been healed. */
export interface Contents {
  readonly lost: number;
  readonly resurrected: number;
  readonly unexpected: number;
  readonly recovered: number;
  /** A sentence for each thing that is wrong. */
  readonly problems: readonly string[];
}

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
  return { ...worst, problems };
}

/** Writes on the primary and returns where that ended: what a replica must have replayed before it is read. */
async function writeMark(cluster: LocalCluster, leader: string): Promise<string> {
  return withSession(adminTarget(cluster, leader, drillDatabase), async (session) => {
    await session.rows('insert into marks (mark) select coalesce(max(mark), 0) + 1 from marks', [], readTimeoutMs);
    return textOf(await session.rows('select pg_current_wal_insert_lsn()::text as lsn'), 'lsn');
  });
}

async function readNode(
  cluster: LocalCluster,
  node: string,
  mark: string,
  fromId: number,
): Promise<{ readonly ids: ReadonlySet<number>; readonly content: string }> {
  const content = await withSession(adminTarget(cluster, node, drillDatabase), async (session) => {
    await session.rows(waitForReplay(mark, replayTimeoutMs), [], replayTimeoutMs + 5000);
    const rows = await session.rows('select id::text as id from ids where id >= $1', [fromId], readTimeoutMs);
    const sum = await session.rows(contentSum('ids'), [], readTimeoutMs);
    return {
      ids: new Set(rows.map((row) => Number(row.id))),
      sum: `ids ${textOf(sum, 'rows')} rows, sum ${textOf(sum, 'sum')}`,
    };
  });
  return { ids: content.ids, content: `${content.sum}; Employees ${await companyContent(cluster, node)}` };
}

/** Blocks in the server until it has replayed up to `mark`, or the time is over; a primary has. */
function waitForReplay(mark: string, timeoutMs: number): string {
  return `do $$
    declare started timestamptz := clock_timestamp();
    begin
      while pg_is_in_recovery() and pg_last_wal_replay_lsn() < '${mark}'::pg_lsn loop
        if clock_timestamp() - started > interval '${timeoutMs} milliseconds' then
          raise exception 'has not replayed up to ${mark} in time';
        end if;
        perform pg_sleep(0.01);
      end loop;
    end $$`;
}
