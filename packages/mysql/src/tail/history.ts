import { type GtidSet, gtidContains, type Member, type Position } from '@understudy/core';
import type { Dialect } from '../dialect/dialect.ts';
import { serverIdOf, writers } from '../disk/writer.ts';
import { lineOf, type MariadbGtid, mariadbHistory, parseMariadbGtids, placeOnLine } from '../gtid/mariadb.ts';
import { parseMysqlGtids } from '../gtid/mysql.ts';
import { LineBook } from '../lines.ts';
import type { MysqlOptions } from '../options.ts';
import { openMember } from '../sql/local.ts';
import type { Session } from '../sql/session.ts';

const timeoutMs = 10_000;

/** Says of a transaction, by its GTID, whether it is on the history of another member. */
export type IsHeld = (gtid: string) => boolean;

/** What another member holds. */
export interface History {
  readonly isHeld: IsHeld;
  /** Whether everything of a position is surely among it. */
  readonly holds: (position: Position | null) => boolean;
}

/**
 * Asks another member what it holds.
 *
 * @returns null when its answer cannot be understood.
 */
export async function historyOf(options: MysqlOptions, dialect: Dialect, from: Member): Promise<History | null> {
  const session = await openMember(options, from, 'clone', timeoutMs);
  try {
    return dialect.gtids === 'sets' ? await heldSets(session) : await heldLines(session, options.serverId);
  } finally {
    await session.end();
  }
}

async function heldSets(session: Session): Promise<History | null> {
  const [row] = await session.query('SELECT @@global.gtid_executed AS executed', [], timeoutMs);
  const held = parseMysqlGtids(row?.executed ?? '');
  if (held === null) return null;
  return { isHeld: isInSet(held), holds: (position) => position?.kind === 'gtid' && gtidContains(held, position.set) };
}

/** @param held what a member of MySQL has executed. */
export function isInSet(held: GtidSet): IsHeld {
  return (gtid) => {
    const one = parseMysqlGtids(gtid);
    return one !== null && gtidContains(held, one);
  };
}

async function heldLines(session: Session, serverId: number): Promise<History | null> {
  const query = 'SELECT @@global.gtid_binlog_pos AS written, @@global.gtid_slave_pos AS replicated';
  const [row] = await session.query(query, [], timeoutMs);
  const gtids = parseMariadbGtids([row?.written, row?.replicated].filter(Boolean).join(','));
  if (gtids === null) return null;
  const newest = gtids.map(({ sequence }) => sequence).reduce((a, b) => (a > b ? a : b), 0n);
  const history = mariadbHistory(gtids, await new LineBook().upTo(session, lineOf(newest)));
  if (history === null) return null;
  // A position does not say who wrote: what was written on the wrong server has the numbers of the right one's.
  const ids = writers.map((writer) => serverIdOf(serverId, writer));
  return { isHeld: isOnLines(history.set, history.timelines.at(-1) ?? 0, ids), holds: () => false };
}

/**
 * @param set what a member of MariaDB holds of each line. @param line its own line, which nobody else writes on.
 * @param serverIds of the server whose log is read.
 */
export function isOnLines(set: GtidSet, line: number, serverIds: readonly (number | null)[]): IsHeld {
  const isHeld = ({ server, sequence }: MariadbGtid): boolean => {
    if (serverIds.includes(server) && lineOf(sequence) === line) return false;
    const place = placeOnLine(sequence);
    return (set.get(String(lineOf(sequence))) ?? []).some(({ first, last }) => first <= place && place <= last);
  };
  return (gtid) => (parseMariadbGtids(gtid) ?? []).every(isHeld);
}
