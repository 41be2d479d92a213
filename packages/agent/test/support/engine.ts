import { join } from 'node:path';
import { createPostgresEngine } from '@understudy/postgres';
import { findPostgres, reachablePostgres, serverUser } from '@understudy/servers';
import type { EngineFactory } from '../../src/index.ts';

/** The real PostgreSQL engine of a node, from the first binaries that are found. */
export const engineFactory: EngineFactory = async ({ config, secrets, log, clock }) => {
  const user = serverUser();
  const { binDir, tools } = await reachablePostgres(await findPostgres(), user);
  return createPostgresEngine({
    cluster: config.cluster,
    member: config.member,
    dataDir: config.engine.dataDir,
    runDir: join(config.runDir, 'server'),
    listen: config.engine.listen,
    binaries: { binDir, ...(tools.pgRewind === null ? {} : { pgRewind: tools.pgRewind }) },
    runAs: user === null ? null : { uid: user.uid, gid: user.gid },
    secrets,
    parameters: config.engine.parameters,
    log: ({ level, message, fields }) => log[level](fields ?? {}, message),
    clock,
  });
};
