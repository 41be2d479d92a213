import { join } from 'node:path';
import { identityName } from '@understudy/engine/host';
import type { PostgresOptions } from './options.ts';

/** Every file that this package writes outside of what PostgreSQL keeps itself. */
export interface Paths {
  readonly dataDir: string;
  readonly runDir: string;
  readonly log: string;
  readonly passwordFile: string;
  /** Names the server process whose commits are proven to wait, for an agent that takes over. */
  readonly armed: string;
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly include: string;
  readonly hba: string;
  readonly identity: string;
  readonly standbySignal: string;
}

export const includeName = 'understudy.conf';
export const hbaName = 'understudy_hba.conf';

/** Names of databases that take connections, as of an agent's last look. */
export const databasesFile = (runDir: string): string => join(runDir, 'databases.json');

export function pathsOf(options: PostgresOptions): Paths {
  const { dataDir, runDir } = options;
  return {
    dataDir,
    runDir,
    log: join(runDir, 'postgres.log'),
    passwordFile: join(runDir, 'receiver.pass'),
    armed: join(runDir, 'armed'),
    tls: { ca: join(runDir, 'ca.pem'), cert: join(runDir, 'cert.pem'), key: join(runDir, 'key.pem') },
    include: join(dataDir, includeName),
    hba: join(dataDir, hbaName),
    identity: join(dataDir, identityName),
    standbySignal: join(dataDir, 'standby.signal'),
  };
}
