export { ServersError, type ServersErrorCode } from './errors.ts';
export {
  type FindMysqlOptions,
  findMysql,
  listMysql,
  type MysqlOrigin,
  type MysqlServer,
  reachableMysql,
} from './find-mysql.ts';
export {
  type FoundProgram,
  type FoundSysbench,
  findEtcd,
  findEtcdctl,
  findHaproxy,
  findPgbouncer,
  findSysbench,
} from './find-others.ts';
export {
  type FindPostgresOptions,
  findPostgres,
  listPostgres,
  type PostgresOrigin,
  type PostgresServer,
  reachablePostgres,
} from './find-postgres.ts';
export { cacheFolders, projectFolder, templateFolder } from './folders.ts';
export {
  ensureMysql,
  ensurePostgres,
  type FetchedServer,
  fetchedServer,
  type GetServerOptions,
  getServer,
  listServers,
  type ServerListing,
} from './get.ts';
export type { MysqlFlavour, MysqlTools } from './mysql-tools.ts';
export type { PostgresTools } from './postgres-tools.ts';
export { type FetchProgress, type OnProgress, progressLine, showProgress, stays } from './progress.ts';
export { makeReachable } from './reachable.ts';
export { isServerName, type ServerName, serverNames } from './recipes.ts';
export { type ServerUser, serverUser } from './user.ts';
