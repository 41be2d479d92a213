import { randomBytes } from 'node:crypto';
import type { LocalCluster } from '@understudy/local';
import { DrillError, reasonOf } from '../errors.ts';
import { createCompany } from '../tour/company.ts';
import { createTables, drillDatabase, drillRole } from '../workload/tables.ts';
import { adminTarget, withSession } from './sql.ts';

/**
 * Makes the drill's role, database and tables, and `company_db`.
 *
 * @returns the role's password.
 * @throws DrillError `SETUP_FAILED`
 */
export async function prepareDatabases(cluster: LocalCluster, leader: string): Promise<string> {
  const password = randomBytes(18).toString('base64url');
  try {
    await withSession(adminTarget(cluster, leader, 'postgres'), async (session) => {
      // The password has no character that would have to be quoted.
      await session.rows(`create role ${drillRole} login password '${password}'`);
      await session.rows(`create database ${drillDatabase} owner ${drillRole}`);
    });
    await withSession(adminTarget(cluster, leader, drillDatabase), async (session) => {
      for (const statement of createTables) await session.rows(statement);
    });
    await createCompany(cluster, leader);
    return password;
  } catch (error) {
    throw new DrillError('SETUP_FAILED', `The drill's tables could not be made on ${leader}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
