import { formatIntervals, type GtidPosition, gtidSubtract } from '@understudy/core';
import type { Dialect } from '../dialect/dialect.ts';
import { clusterDomain, formatMariadbGtids, lineOf, parseMariadbGtids } from '../gtid/mariadb.ts';
import { parseMysqlGtids } from '../gtid/mysql.ts';
import type { Session } from '../sql/session.ts';

const queryTimeoutMs = 1000;

/**
 * Transactions that were written on a replica itself, as the server names them.
 *
 * @param leader what its leader holds. It may be a little old: the leader writes nothing under this server's name.
 * @returns their GTIDs (on MariaDB the newest of them); null when there are none.
 */
export function findErrant(
  session: Session,
  { gtids }: Pick<Dialect, 'gtids'>,
  leader: GtidPosition,
): Promise<string | null> {
  return gtids === 'sets' ? ofSets(session, leader) : ofDomains(session, leader);
}

/** Everything that was written here has this server's UUID; what it wrote as a leader, its leader has too. */
async function ofSets(session: Session, leader: GtidPosition): Promise<string | null> {
  const [row] = await session.query(
    'SELECT @@global.server_uuid AS own, @@global.gtid_executed AS executed',
    [],
    queryTimeoutMs,
  );
  const own = (row?.own ?? '').toLowerCase();
  const executed = parseMysqlGtids(row?.executed ?? '');
  if (own === '' || executed === null) return null;
  const written = new Map([...executed].filter(([source]) => source === own || source.startsWith(`${own}:`)));
  const errant = [...gtidSubtract(written, leader.set)];
  if (errant.length === 0) return null;
  return errant.map(([source, intervals]) => `${source}:${formatIntervals(intervals)}`).join(',');
}

/** A line is written by one server, its leader: nobody who follows that one has written on it. */
async function ofDomains(session: Session, leader: GtidPosition): Promise<string | null> {
  const [row] = await session.query(
    'SELECT @@global.server_id AS own, @@global.gtid_binlog_state AS state',
    [],
    queryTimeoutMs,
  );
  const line = leader.lineages.at(-1);
  const errant = (parseMariadbGtids(row?.state ?? '') ?? []).filter(
    ({ domain, server, sequence }) =>
      domain === clusterDomain && String(server) === row?.own && lineOf(sequence) === line,
  );
  return errant.length === 0 ? null : formatMariadbGtids(errant);
}

/** What was found of them in one run of the server; nothing makes it good but a new copy. */
export class ErrantFinds {
  #found: { readonly pid: number; readonly gtids: string; readonly times: number } | null = null;

  /** Notes a look. Only what is seen twice counts: a leader that has just opened may not have said yet what it holds. */
  note(pid: number, gtids: string | null): void {
    const times = this.#found?.pid === pid && gtids !== null ? this.#found.times + 1 : 1;
    this.#found = gtids === null ? null : { pid, gtids, times };
  }

  /** The sentence about them; null while there is nothing to say. */
  of(pid: number): string | null {
    if (this.#found?.pid !== pid || this.#found.times < 2) return null;
    return `Somebody wrote on this replica: ${this.#found.gtids} is on no other member.`;
  }
}
