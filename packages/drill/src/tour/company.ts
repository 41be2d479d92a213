import type { LocalCluster } from '@understudy/local';
import { companyDatabase, employees } from '../database/database.ts';
import { databaseFor } from '../database/index.ts';
import { withAdmin } from '../run/sql.ts';

const readTimeoutMs = 10_000;

export async function createCompany(cluster: LocalCluster, leader: string): Promise<void> {
  const database = databaseFor(cluster);
  await withAdmin(cluster, leader, database.adminDatabase, (admin) => database.createCompany(admin));
  await withAdmin(cluster, leader, companyDatabase, (session) => database.loadCompany(session));
}

/** What the table holds, in one line: equal on two nodes only if every row is. */
export async function companyContent(cluster: LocalCluster, node: string): Promise<string> {
  const database = databaseFor(cluster);
  return withAdmin(cluster, node, companyDatabase, async (session) => {
    const content = await database.contentOf(session, 'Employees', readTimeoutMs);
    return `${content}, salaries ${await database.salaries(session)}`;
  });
}

/** The sum of the salaries that were loaded, for a check that does not rest on the database. */
export const salariesTotal = (
  employees.reduce((cents, [, , salary]) => cents + Math.round(Number(salary) * 100), 0) / 100
).toFixed(2);
