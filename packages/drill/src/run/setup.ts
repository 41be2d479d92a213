import { randomBytes } from 'node:crypto';
import { reasonOf } from '@understudy/base';
import type { LocalCluster } from '@understudy/local';
import { drillDatabase } from '../database/database.ts';
import { databaseFor } from '../database/index.ts';
import { DrillError } from '../errors.ts';
import { createCompany } from '../tour/company.ts';
import { withAdmin } from './sql.ts';

/**
 * Makes the drill's role, database and tables, and `company_db`.
 *
 * @returns the role's password.
 * @throws DrillError `SETUP_FAILED`
 */
export async function prepareDatabases(cluster: LocalCluster, leader: string): Promise<string> {
  const database = databaseFor(cluster);
  const password = randomBytes(18).toString('base64url');
  try {
    await withAdmin(cluster, leader, database.adminDatabase, (admin) => database.createRole(admin, password));
    await withAdmin(cluster, leader, drillDatabase, (session) => database.createTables(session));
    await createCompany(cluster, leader);
    return password;
  } catch (error) {
    throw new DrillError('SETUP_FAILED', `The drill's tables could not be made on ${leader}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
