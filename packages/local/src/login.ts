import { join } from 'node:path';
import { reasonOf } from '@understudy/base';
import mysql from 'mysql2/promise';
import { authorityText } from './certificates.ts';
import { LocalError } from './errors.ts';
import { type ClusterPaths, clusterPaths } from './folder.ts';
import type { NodeAddress } from './options.ts';
import { readSecrets } from './secrets.ts';
import { engineFacts, type LocalEngine } from './server.ts';
import { readState } from './state.ts';

/** How to log in to the databases of a cluster. */
export interface DatabaseLogin {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Text of the authority that the servers' certificates must be of; null: they have none. */
  readonly ca: string | null;
}

/** The login of whoever started the cluster. PostgreSQL's is the superuser. */
export function loginOf(engine: LocalEngine, superuser: string, ca: string | null): DatabaseLogin {
  const { user, database } = engineFacts[engine];
  return { user, password: superuser, database, ca };
}

/**
 * How to log in as the superuser of the cluster in a folder.
 *
 * @throws LocalError `STATE_INVALID` when its state or its secrets are missing or damaged
 */
export async function readLogin(folder: string): Promise<DatabaseLogin> {
  const paths: ClusterPaths = clusterPaths(folder);
  const state = await readState(paths);
  const ca = state === null ? null : await authorityText(paths, state, 'database');
  return loginOf(state?.engine ?? 'postgres', (await readSecrets(paths)).superuser, ca);
}

/** The agent's own account, and the server's socket below the folder of sockets. */
const agentAccount = 'us_admin';
const socketName = 'mysql.sock';

export const mysqlSocketOf = ({ socketFolder }: Pick<NodeAddress, 'socketFolder'>): string =>
  join(socketFolder, socketName);

const timeoutMs = 10_000;

/**
 * Makes the account and the database of `login` on the leader of a MySQL or MariaDB cluster, whose servers come without any account
 * that can be reached over the network. Can be called at every start.
 *
 * The account may do everything but write to a server that is read-only: nothing may be written behind the leader's back.
 *
 * @throws LocalError `LOGIN_FAILED`
 */
export async function ensureLogin(
  engine: 'mysql' | 'mariadb',
  leader: NodeAddress,
  login: DatabaseLogin,
): Promise<void> {
  try {
    const connection = await mysql.createConnection({
      socketPath: mysqlSocketOf(leader),
      user: agentAccount,
      password: login.password,
      connectTimeout: timeoutMs,
    });
    try {
      const [known] = await connection.query<mysql.RowDataPacket[]>({ ...search, timeout: timeoutMs }, [
        login.database,
      ]);
      if (known.length > 0) return;
      for (const [sql, values] of statementsFor(engine, login)) {
        await connection.query({ sql, timeout: timeoutMs }, values);
      }
    } finally {
      connection.destroy();
    }
  } catch (error) {
    const text = `The account "${login.user}" could not be made on ${leader.name}: ${reasonOf(error)}.`;
    throw new LocalError('LOGIN_FAILED', `${text}.`, { cause: error });
  }
}

/** The account of this host is made last, so where it is, all the rest is too. */
const search = { sql: "select 1 as found from mysql.user where User = ? and Host = 'localhost'" };

/** By these an account may write to a server that is read-only. */
const overriding = { mysql: 'super, connection_admin', mariadb: 'read only admin' };

type Statement = readonly [sql: string, values: string[]];

function statementsFor(engine: 'mysql' | 'mariadb', { user, password, database }: DatabaseLogin): readonly Statement[] {
  // An anonymous account of "localhost", where there is one, would win over one of everywhere.
  const accounts = ['%', 'localhost'].flatMap((host): Statement[] => [
    ['create user if not exists ?@? identified by ?', [user, host, password]],
    ['grant all on *.* to ?@? with grant option', [user, host]],
    [`revoke ${overriding[engine]} on *.* from ?@?`, [user, host]],
  ]);
  // First: a server that waits for the acknowledgement of an account lets nobody log in meanwhile, its agent neither.
  return [[`create database if not exists \`${database}\``, []], ...accounts];
}
