import { type ChildProcess, spawn } from 'node:child_process';
import type { LocalCluster } from '@understudy/local';
import { type Target, textOf } from '../database/session.ts';
import { DrillError } from '../errors.ts';
import { withAdmin } from '../run/sql.ts';
import { adminTarget } from '../run/targets.ts';

export const pgbenchDatabase = 'pgbench';

export interface PgbenchEnd {
  readonly code: number | null;
  /** The last lines of what it said. */
  readonly text: string;
}

/** One `pgbench` at work. */
export interface PgbenchRun {
  readonly ended: Promise<PgbenchEnd>;
  stop(): void;
}

const outputCharsMax = 20_000;

/** Starts `pgbench` with these arguments against one node. The password travels in the environment. */
export function startPgbench(program: string, target: Target, args: readonly string[]): PgbenchRun {
  const env = {
    ...process.env,
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGUSER: target.user,
    PGPASSWORD: target.password,
    PGDATABASE: target.database,
    PGCONNECT_TIMEOUT: '3',
  };
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  return { ended: endOf(child), stop: () => child.kill('SIGTERM') };
}

function endOf(child: ChildProcess): Promise<PgbenchEnd> {
  let text = '';
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString('utf8')).slice(-outputCharsMax);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, text: error.message }));
    child.once('close', (code) => resolve({ code, text }));
  });
}

/** Makes the database and the tables of pgbench's TPC-B-like test. @throws DrillError `SETUP_FAILED` */
export async function loadPgbench(
  program: string,
  cluster: LocalCluster,
  leader: string,
  scale: number,
): Promise<void> {
  await withAdmin(cluster, leader, 'postgres', (session) => session.rows(`create database ${pgbenchDatabase}`));
  const target = adminTarget(cluster, leader, pgbenchDatabase);
  const { code, text } = await startPgbench(program, target, ['--initialize', `--scale=${scale}`, '--quiet']).ended;
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

export async function balancesOn(cluster: LocalCluster, node: string): Promise<Balances> {
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
