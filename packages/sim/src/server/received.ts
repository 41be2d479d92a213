import { branchAt } from '../wal/branch.ts';
import type { SimServer } from './server.ts';

/** MySQL, MariaDB: the applier goes on with what has been received, in its own time. */
export function keepApplying(server: SimServer): void {
  if (server.flavour === 'postgres' || server.applying === 'planned' || isDrained(server)) return;
  const { random } = server.world;
  const end = server.lsn;
  server.applying = 'planned';
  server.later(0.3 + random.next() * 2 + random.next() * server.trouble.slowReloadMs, () => {
    server.applying = 'no';
    server.tablesLsn = server.appliedLsn;
    server.appliedLsn = Math.max(server.appliedLsn, Math.min(end, server.lsn));
    server.passOn();
    keepApplying(server);
  });
}

/** Nothing of what was received is in the relay log alone. */
export function isDrained(server: SimServer): boolean {
  return server.appliedLsn >= server.lsn;
}

/** How much of its log a server sends: a replica of MySQL or MariaDB what it has applied, everybody else what is on their disk. */
export function sendableEnd(source: SimServer): number {
  return source.flavour === 'postgres' || source.process !== 'replica' ? source.lsn : source.appliedLsn;
}

/** The relay log is deleted: by a new source or the end of the channel; on MariaDB also when replication starts while nothing runs. */
export function dropRelayLog(server: SimServer): void {
  if (isDrained(server) || server.branch === null) return;
  server.lsn = server.appliedLsn;
  server.branch = branchAt(server.branch, server.lsn);
  server.world.observer.onCopyChanged(server, 'relay log dropped');
}

/** What a copy of a running server holds: what is committed on a primary, what is applied on a replica. */
export function copyEnd(source: SimServer): number {
  return source.process === 'primary' ? source.committedLsn : source.appliedLsn;
}
