import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineContext } from '@understudy/agent';
import type { Engine } from '@understudy/engine';
import { createMysqlEngine } from '@understudy/mysql';
import { findMysql, type MysqlServer, reachableMysql, serverUser, templateFolder } from '@understudy/servers';

type Settings = EngineContext['config']['engine'] & { readonly kind: 'mysql' | 'mariadb' };

/** The programs that a node's configuration means, in a folder where the user that runs them can reach them. */
export async function mysqlFor({ kind, version, binDir }: Settings): Promise<MysqlServer> {
  const found = await findMysql({
    flavour: kind,
    ...(version === undefined ? {} : { version }),
    ...(binDir === undefined ? {} : { binDir }),
  });
  return reachableMysql(found, serverUser());
}

/** Makes the engine of a MySQL or MariaDB node. Nothing is started. */
export async function mysqlEngine(context: EngineContext, engine: Settings): Promise<Engine> {
  const { config, secrets, log, clock, openCopy } = context;
  const server = await mysqlFor(engine);
  const user = serverUser();
  // The server's user passes through the agent's run folder to its own below; it cannot list it.
  if (user !== null) await mkdir(config.runDir, { recursive: true, mode: 0o711 });
  return createMysqlEngine({
    cluster: config.cluster,
    member: config.member,
    serverId: engine.serverId,
    dataDir: engine.dataDir,
    runDir: join(config.runDir, 'server'),
    cacheDir: templateFolder(),
    listen: engine.listen,
    binaries: { baseDir: server.baseDir, server: server.tools.server },
    runAs: user === null ? null : { uid: user.uid, gid: user.gid },
    secrets: {
      admin: secrets.superuser,
      replication: secrets.replication,
      clone: secrets.rewind,
      monitor: secrets.monitor,
    },
    tls: engine.tls ?? null,
    plain: config.insecure ? 'anywhere' : 'loopback',
    userConfig: engine.userConfig ?? null,
    parameters: engine.parameters,
    aside: { maxBytes: config.asideBudgetBytes, keep: 2 },
    log: ({ level, message, fields }) => log[level](fields ?? {}, message),
    clock,
    openCopy,
  });
}
