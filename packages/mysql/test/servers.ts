import { findMysql, type MysqlServer, reachableMysql, serverUser } from '@understudy/servers';

/** The servers that the tests run on, in the order of the reports. */
export const testServerNames = ['mysql-9.7', 'mariadb-10.11', 'mariadb-11.8'] as const;
export type TestServerName = (typeof testServerNames)[number];

/** Those of the wanted servers that are on this machine, where the servers' user can run them. */
export async function testServers(names: readonly TestServerName[]): Promise<readonly MysqlServer[]> {
  const found: MysqlServer[] = [];
  for (const name of names) {
    const [flavour, version] = name.startsWith('mysql')
      ? (['mysql', name.slice(6)] as const)
      : (['mariadb', name.slice(8)] as const);
    const server = await findMysql({ flavour, version }).catch(() => null);
    if (server !== null) found.push(await reachableMysql(server, serverUser()));
  }
  return found;
}
