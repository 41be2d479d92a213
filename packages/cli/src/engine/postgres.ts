import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineContext } from '@understudy/agent';
import type { Engine } from '@understudy/engine';
import { createPostgresEngine } from '@understudy/postgres';
import { findPostgres, type PostgresServer, reachablePostgres, serverUser } from '@understudy/servers';

type Settings = EngineContext['config']['engine'] & { readonly kind: 'postgres' };

/** The programs that a node's configuration means, in a folder where the user that runs them can reach them. */
export async function postgresFor(settings: Settings): Promise<PostgresServer> {
  const found = await findPostgres({
    ...(settings.version === undefined ? {} : { version: settings.version }),
    ...(settings.binDir === undefined ? {} : { binDir: settings.binDir }),
  });
  return reachablePostgres(found, serverUser());
}

/** Makes the PostgreSQL engine of a node. Nothing is started. */
export async function postgresEngine(context: EngineContext, engine: Settings): Promise<Engine> {
  const { config, secrets, log, clock } = context;
  const server = await postgresFor(engine);
  const user = serverUser();
  // The server's user passes through the agent's run folder to its own below; it cannot list it.
  if (user !== null) await mkdir(config.runDir, { recursive: true, mode: 0o711 });
  return createPostgresEngine({
    cluster: config.cluster,
    member: config.member,
    dataDir: engine.dataDir,
    runDir: join(config.runDir, 'server'),
    listen: engine.listen,
    binaries: {
      binDir: server.binDir,
      ...(server.tools.pgRewind === null ? {} : { pgRewind: server.tools.pgRewind }),
    },
    runAs: user === null ? null : { uid: user.uid, gid: user.gid },
    // `member` is the agents' own.
    secrets: {
      superuser: secrets.superuser,
      replication: secrets.replication,
      rewind: secrets.rewind,
      monitor: secrets.monitor,
    },
    ...(engine.tls === undefined ? {} : { tls: engine.tls }),
    parameters: engine.parameters,
    initdbArgs: [...engine.initdb],
    aside: { maxBytes: config.asideBudgetBytes, keep: 2 },
    log: ({ level, message, fields }) => log[level](fields ?? {}, message),
    clock,
  });
}
