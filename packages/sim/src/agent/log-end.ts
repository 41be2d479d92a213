import type { LogEnd } from '@understudy/core';
import type { SimServer } from '../server/server.ts';

/**
 * How MariaDB is started: its recovery cuts off what is in the log and not in the tables when the record gives leave, and this data was
 * opened by an earlier leader than the record's and has received nothing since.
 */
export function recoveryOf(server: SimServer, end: LogEnd): 'whole' | 'cut' {
  if (server.flavour !== 'mariadb' || end.kind === 'keep' || server.shutdown === 'clean') return 'whole';
  return server.opened !== null && server.opened < end.before ? 'cut' : 'whole';
}
