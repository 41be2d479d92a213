/** A node's agent with the real PostgreSQL engine, as a process of its own: `node agent-main.ts <config.yaml>`. */

import { join } from 'node:path';
import { createPostgresEngine } from '@understudy/postgres';
import { findPostgres, reachablePostgres, serverUser } from '@understudy/servers';
import { AgentError, type EngineFactory, loadNodeConfig, runAgent } from '../../src/index.ts';

const engineFactory: EngineFactory = async ({ config, secrets, log, clock }) => {
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

try {
  const configFile = process.argv[2] ?? '';
  const running = await runAgent(await loadNodeConfig(configFile), engineFactory, { configFile });
  const end = await running.ended;
  if (end.kind === 'failed') throw end.error;
} catch (error) {
  const code = error instanceof AgentError ? error.code : 'UNEXPECTED';
  process.stderr.write(`${code}: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}
