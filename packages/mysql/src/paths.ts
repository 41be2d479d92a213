import { join } from 'node:path';
import { identityName } from '@understudy/engine/host';
import type { MysqlOptions } from './options.ts';

/** Every file that this package writes outside of what the server keeps itself. */
export interface Paths {
  readonly dataDir: string;
  readonly runDir: string;
  readonly socket: string;
  readonly log: string;
  readonly config: string;
  /** Statements with secrets that the server runs while it starts; there only meanwhile. */
  readonly initFile: string;
  readonly pidFile: string;
  readonly identity: string;
  /** Of this server alone: a server that starts removes the temporary tables of others from a folder that they share. */
  readonly temporary: string;
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
}

export function pathsOf({ dataDir, runDir }: Pick<MysqlOptions, 'dataDir' | 'runDir'>): Paths {
  return {
    dataDir,
    runDir,
    socket: join(runDir, 'mysql.sock'),
    log: join(runDir, 'server.log'),
    config: join(runDir, 'my.cnf'),
    initFile: join(runDir, 'start.sql'),
    pidFile: join(runDir, 'server.pid'),
    identity: join(dataDir, identityName),
    temporary: join(runDir, 'tmp'),
    tls: { ca: join(runDir, 'ca.pem'), cert: join(runDir, 'cert.pem'), key: join(runDir, 'key.pem') },
  };
}
