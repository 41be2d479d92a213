import { formatIntervals, type GtidPosition, type GtidSet, gtidSubtract, gtidUnion } from '@understudy/core';
import type { Dialect } from '../dialect/dialect.ts';
import { clusterDomain, formatMariadbGtids, lineOf, parseMariadbGtids } from '../gtid/mariadb.ts';
import { parseMysqlGtids } from '../gtid/mysql.ts';
import type { Session } from '../sql/session.ts';
import { readChannel } from './channel.ts';

const queryTimeoutMs = 1000;

/** Transactions that a replica holds, and that the server which it receives from neither holds nor has written. */
export interface Errant {
  /** As the server names them; on MariaDB the newest of them. */
  readonly gtids: string;
  /** Where they were written: on this very server, or on another one that is not its leader. */
  readonly written: 'here' | 'elsewhere';
}

/** The word of the server that it receives from: its UUID, and what it has executed or is about to. Null when it cannot be asked. */
export type AskSource = () => Promise<{ readonly uuid: string; readonly held: GtidSet } | null>;

/**
 * Looks for transactions that a replica holds although they are not on its leader's history. They are compared with the server that it
 * receives from; one between it and the leader is compared by its own agent.
 *
 * @param source what that server is known to hold. It may be a little old: before anything is said, it is asked itself (MySQL).
 * @returns null when there are none; `unknown` when that could not be found out now.
 */
export function findErrant(
  session: Session,
  dialect: Pick<Dialect, 'gtids' | 'channelStatus' | 'columns'>,
  source: GtidPosition,
  ask: AskSource,
): Promise<Errant | null | 'unknown'> {
  return dialect.gtids === 'sets' ? ofSets(session, dialect, source, ask) : ofDomains(session, source);
}

async function ofSets(
  session: Session,
  dialect: Pick<Dialect, 'channelStatus' | 'columns'>,
  source: GtidPosition,
  ask: AskSource,
): Promise<Errant | null | 'unknown'> {
  const channel = await readChannel(session, dialect, queryTimeoutMs);
  const query = 'SELECT @@global.server_uuid AS own, @@global.gtid_executed AS executed';
  const [row] = await session.query(query, [], queryTimeoutMs);
  const own = (row?.own ?? '').toLowerCase();
  const executed = parseMysqlGtids(row?.executed ?? '');
  const received = parseMysqlGtids(channel?.received ?? '');
  const uuid = channel?.sourceUuid ?? '';
  if (own === '' || uuid === '' || executed === null || received === null) return 'unknown';
  const held = gtidUnion(executed, received);
  if (errantSet(held, source.set, uuid).size === 0) return null;
  // Our own set was read first: whatever the source lacks now, it lacked then.
  const asked = await ask();
  if (asked?.uuid !== uuid) return 'unknown';
  return errantOf(errantSet(held, asked.held, uuid), own);
}

const isOf = (source: string, uuid: string): boolean => source === uuid || source.startsWith(`${uuid}:`);

/**
 * What is held and did not come from the server that is received from. Its own newest transactions do not count: a replica may have them
 * before they are committed there. Of others it can have sent only what it holds.
 *
 * @param sourceUuid UUID of that server; its transactions may have tags.
 */
export function errantSet(held: GtidSet, source: GtidSet, sourceUuid: string): GtidSet {
  return new Map([...gtidSubtract(held, source)].filter(([writer]) => !isOf(writer, sourceUuid)));
}

/** @param own UUID of the server that holds them. */
export function errantOf(set: GtidSet, own: string): Errant | null {
  if (set.size === 0) return null;
  const gtids = [...set].map(([source, intervals]) => `${source}:${formatIntervals(intervals)}`).join(',');
  return { gtids, written: [...set.keys()].every((source) => isOf(source, own)) ? 'here' : 'elsewhere' };
}

/**
 * A line is written by one server, its leader: nobody who follows that one has written on it. (What an earlier leader wrote and the
 * present one lacks needs no look: the number that the replica asks for is not in the leader's log, and the leader says so.)
 */
async function ofDomains(session: Session, leader: GtidPosition): Promise<Errant | null> {
  const query = 'SELECT @@global.server_id AS own, @@global.gtid_binlog_state AS state';
  const [row] = await session.query(query, [], queryTimeoutMs);
  const line = leader.timelines.at(-1);
  const errant = (parseMariadbGtids(row?.state ?? '') ?? []).filter(
    ({ domain, server, sequence }) =>
      domain === clusterDomain && String(server) === row?.own && lineOf(sequence) === line,
  );
  return errant.length === 0 ? null : { gtids: formatMariadbGtids(errant), written: 'here' };
}

/** What was found of them in one run of the server; nothing makes it good but a new copy. */
export class ErrantFinds {
  #found: { readonly pid: number; readonly errant: Errant; readonly times: number } | null = null;

  /** Notes a look. Only what is seen twice counts: a leader that has just opened may not have said yet what it holds. */
  note(pid: number, errant: Errant | null): void {
    const times = this.#found?.pid === pid && errant !== null ? this.#found.times + 1 : 1;
    this.#found = errant === null ? null : { pid, errant, times };
  }

  /** The sentence about them; null while there is nothing to say. */
  of(pid: number): string | null {
    if (this.#found?.pid !== pid || this.#found.times < 2) return null;
    const { gtids, written } = this.#found.errant;
    return written === 'here'
      ? `Somebody wrote on this replica: ${gtids} is on no other member.`
      : `This replica holds ${gtids}, which it has not from the server that it follows: the end of another leader's history.`;
  }
}
