import {
  ensureMysql,
  ensurePostgres,
  type FetchProgress,
  type MysqlServer,
  type PostgresServer,
  reachableMysql,
  reachablePostgres,
  serverUser,
} from '@understudy/servers';

/** The database servers of which a cluster can be made. */
export type LocalEngine = 'postgres' | 'mysql' | 'mariadb';

/** What differs from engine to engine for whoever starts a cluster or logs in to it. */
export interface EngineFacts {
  readonly title: string;
  /** Where each node is on a host of its own. */
  readonly port: number;
  /** The account that may do everything, and the database that a client gets when it names none. */
  readonly user: string;
  readonly database: string;
}

export const engineFacts: Readonly<Record<LocalEngine, EngineFacts>> = {
  postgres: { title: 'PostgreSQL', port: 5432, user: 'postgres', database: 'postgres' },
  mysql: { title: 'MySQL', port: 3306, user: 'admin', database: 'app' },
  mariadb: { title: 'MariaDB', port: 3306, user: 'admin', database: 'app' },
};

/** The programs of which a cluster's servers are started. `series`: the part of the version that data directories go by. */
export type LocalServer =
  | (PostgresServer & { readonly engine: 'postgres'; readonly series: string })
  | (MysqlServer & { readonly engine: 'mysql' | 'mariadb' });

export interface WantedServer {
  readonly engine: LocalEngine;
  readonly version: string | null;
  readonly binDir: string | null;
  readonly onProgress: (progress: FetchProgress) => void;
}

/** Finds the server of a cluster on this machine, or fetches it. @throws ServersError */
export async function findServer({ engine, version, binDir, onProgress }: WantedServer): Promise<LocalServer> {
  const wanted = {
    ...(version === null ? {} : { version }),
    ...(binDir === null ? {} : { binDir }),
    onProgress,
  };
  if (engine !== 'postgres') return { ...(await ensureMysql({ flavour: engine, ...wanted })), engine };
  const found = await ensurePostgres(wanted);
  return { ...found, engine, series: String(found.major) };
}

/** The same server with programs that the user who runs them can reach. */
export async function reachableServer(server: LocalServer): Promise<LocalServer> {
  const user = serverUser();
  if (server.engine !== 'postgres') return { ...(await reachableMysql(server, user)), engine: server.engine };
  return { ...(await reachablePostgres(server, user)), engine: server.engine, series: server.series };
}

/** Whether two versions can be of one server: `17` and `17`, `9.7` and `9.7.4`; not `9.7` and `9.8`. */
export function isSameVersion(a: string, b: string): boolean {
  const [left, right] = [a.split('.'), b.split('.')];
  return left.every((part, index) => right[index] === undefined || right[index] === part);
}
