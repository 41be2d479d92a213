export { reasonOf, ServersError, type ServersErrorCode, type ServersRetry, serversErrorCodes } from './errors.ts';
export {
  type FindPostgresOptions,
  findPostgres,
  listPostgres,
  type PostgresOrigin,
  type PostgresServer,
  reachablePostgres,
} from './find-postgres.ts';
export { cacheFolders, projectFolder } from './folders.ts';
export type { PostgresTools } from './postgres-tools.ts';
export { makeReachable } from './reachable.ts';
export { isServerName, type ServerName, serverNames } from './recipes.ts';
export { type ServerUser, serverUser } from './user.ts';
