import type { LocalCluster } from '@understudy/local';
import { adminTarget, textOf, withSession } from '../run/sql.ts';
import { contentSum } from '../workload/tables.ts';

/** The database of every tutorial: a company and what it pays. Money is exact: DECIMAL, compared as text. */
export const companyDatabase = 'company_db';

const employees = [
  [1, 'Alice', '5200.50', 'Engineering'],
  [2, 'Bob', '4100.00', 'Sales'],
  [3, 'Carol', '6150.75', 'Engineering'],
  [4, 'Dmitri', '3999.99', 'Support'],
  [5, 'Eleni', '7300.10', 'Management'],
  [6, 'Farid', '4820.25', 'Sales'],
  [7, 'Grace', '5675.00', 'Engineering'],
  [8, 'Hiroshi', '4310.40', 'Support'],
] as const;

export async function createCompany(cluster: LocalCluster, leader: string): Promise<void> {
  await withSession(adminTarget(cluster, leader, 'postgres'), (session) =>
    session.rows(`create database ${companyDatabase}`),
  );
  await withSession(adminTarget(cluster, leader, companyDatabase), async (session) => {
    await session.rows(
      `create table "Employees" (
         id int primary key, first_name varchar(50) not null, salary decimal(10, 2) not null, department varchar(50) not null
       )`,
    );
    for (const row of employees) await session.rows('insert into "Employees" values ($1, $2, $3, $4)', [...row]);
  });
}

/** What the table holds, in one line: equal on two nodes only if every row is. */
export async function companyContent(cluster: LocalCluster, node: string): Promise<string> {
  return withSession(adminTarget(cluster, node, companyDatabase), async (session) => {
    const rows = await session.rows(contentSum('"Employees"'));
    const paid = await session.rows('select sum(salary)::text as total from "Employees"');
    return `${textOf(rows, 'rows')} rows, sum ${textOf(rows, 'sum')}, salaries ${textOf(paid, 'total')}`;
  });
}

/** The sum of the salaries that were loaded, for a check that does not rest on the database. */
export const salariesTotal = (
  employees.reduce((cents, [, , salary]) => cents + Math.round(Number(salary) * 100), 0) / 100
).toFixed(2);
