import type { LocalCluster, LocalEngine } from '@understudy/local';
import type { Database } from './database.ts';
import { mariadbDatabase, mysqlDatabase } from './mysql.ts';
import { postgresDatabase } from './postgres.ts';

const databases: Readonly<Record<LocalEngine, Database>> = {
  postgres: postgresDatabase,
  mysql: mysqlDatabase,
  mariadb: mariadbDatabase,
};

/** How the servers of a cluster are talked to. */
export const databaseFor = (cluster: LocalCluster): Database => databases[cluster.state.engine];
