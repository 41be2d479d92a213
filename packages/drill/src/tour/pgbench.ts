import type { LocalCluster } from '@understudy/local';
import { type Target, textOf } from '../database/session.ts';
import { DrillError } from '../errors.ts';
import { withAdmin } from '../run/sql.ts';
import { adminTarget } from '../run/targets.ts';
import type { Bench } from './bench.ts';
import { type ProgramRun, startProgram } from './program.ts';

const pgbenchDatabase = 'pgbench';

const scale = 2;
const clients = 4;

/** pgbench's TPC-B-like bank, whose every transaction moves three sums by the same amount. */
export function pgbench(program: string, cluster: LocalCluster): Bench {
  return {
    name: 'pgbench',
    load: (leader) => loadPgbench(program, cluster, leader),
    start: (node) => {
      const target = adminTarget(cluster, node, pgbenchDatabase);
      return startPgbench(program, target, cluster.databaseCaFile, [
        `--client=${clients}`,
        '--jobs=1',
        '--time=600',
        '--no-vacuum',
        '--progress=1',
      ]);
    },
    check: () => checkBalances(cluster),
  };
}

async function checkBalances(cluster: LocalCluster): Promise<string> {
  const byNode = new Map<string, Balances>();
  for (const { name } of cluster.nodes) byNode.set(name, await balancesOn(cluster, name));
  const problems = balanceProblems(byNode);
  if (problems.length > 0) throw new Error(problems.join('; '));
  const [own] = byNode.values();
  return `${own?.transactions ?? 0} transactions, sum ${own?.history ?? '?'} in accounts, tellers, branches and history`;
}

/** Starts `pgbench` with these arguments against one node. The password travels in the environment. */
function startPgbench(program: string, target: Target, caFile: string | null, args: readonly string[]): ProgramRun {
  return startProgram(program, args, {
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGUSER: target.user,
    PGPASSWORD: target.password,
    PGDATABASE: target.database,
    PGCONNECT_TIMEOUT: '3',
    ...(caFile === null ? {} : { PGSSLMODE: 'verify-full', PGSSLROOTCERT: caFile }),
  });
}

/** Makes the database and the tables of pgbench's TPC-B-like test. @throws DrillError `SETUP_FAILED` */
async function loadPgbench(program: string, cluster: LocalCluster, leader: string): Promise<void> {
  await withAdmin(cluster, leader, 'postgres', (session) => session.rows(`create database ${pgbenchDatabase}`));
  const target = adminTarget(cluster, leader, pgbenchDatabase);
  const { code, text } = await startPgbench(program, target, cluster.databaseCaFile, [
    '--initialize',
    `--scale=${scale}`,
    '--quiet',
  ]).ended;
  if (code !== 0) throw new DrillError('SETUP_FAILED', `pgbench could not load its tables: ${text.trim().slice(-300)}`);
}

/** The sums that every transaction of the test moves by the same amount, on one node. */
export interface Balances {
  readonly accounts: string;
  readonly tellers: string;
  readonly branches: string;
  readonly history: string;
  readonly transactions: number;
}

async function balancesOn(cluster: LocalCluster, node: string): Promise<Balances> {
  return withAdmin(cluster, node, pgbenchDatabase, async (session) => {
    // One statement sees one moment: transactions may go on meanwhile.
    const rows = await session.rows(
      `select (select sum(abalance) from pgbench_accounts)::text as accounts,
              (select sum(tbalance) from pgbench_tellers)::text as tellers,
              (select sum(bbalance) from pgbench_branches)::text as branches,
              (select coalesce(sum(delta), 0) from pgbench_history)::text as history,
              (select count(*) from pgbench_history)::text as transactions`,
      [],
      60_000,
    );
    const text = (column: string): string => textOf(rows, column);
    return {
      accounts: text('accounts'),
      tellers: text('tellers'),
      branches: text('branches'),
      history: text('history'),
      transactions: Number(text('transactions')),
    };
  });
}

/** What is wrong with the balances of some nodes; empty when each is even and all are equal. */
export function balanceProblems(byNode: ReadonlyMap<string, Balances>): readonly string[] {
  const problems: string[] = [];
  const [first] = byNode;
  for (const [node, own] of byNode) {
    const sums = new Set([own.accounts, own.tellers, own.branches, own.history]);
    if (sums.size !== 1) {
      problems.push(
        `${node}: accounts ${own.accounts}, tellers ${own.tellers}, branches ${own.branches}, history ${own.history}`,
      );
    }
    if (first !== undefined && (own.transactions !== first[1].transactions || own.history !== first[1].history)) {
      problems.push(`${node} has ${own.transactions} transactions, ${first[0]} has ${first[1].transactions}`);
    }
  }
  return problems;
}
