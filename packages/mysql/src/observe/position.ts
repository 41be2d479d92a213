import { type GtidPosition, type GtidSet, gtidContains, gtidUnion } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { lineOf, mariadbHistory, newestSequence, parseMariadbGtids } from '../gtid/mariadb.ts';
import { mysqlTimelines, parseMysqlGtids } from '../gtid/mysql.ts';
import type { Instance } from '../instance.ts';
import type { Session } from '../sql/session.ts';
import { type Channel, type OtherChannel, readChannels, waitsOnPurpose } from './channel.ts';

const queryTimeoutMs = 500;

/** Where a server is in its history. */
export interface Reading {
  /** Everything that it holds durably, applied or not; null while that is not known. */
  readonly position: GtidPosition | null;
  /** What is applied. */
  readonly applied: GtidPosition;
  /** What it has received and applied, as far as the server says it now. */
  readonly received: GtidPosition | null;
  readonly channel: Channel | null;
  /** Channels that somebody else made. */
  readonly others: readonly OtherChannel[];
}

/** Reads what a server holds. What was received is read before what is applied, so that nothing falls between the two. */
export async function readPosition(
  instance: Pick<Instance, 'dialect' | 'lines' | 'sizes' | 'systemId'>,
  session: Session,
): Promise<Reading> {
  const { own, others } = await readChannels(session, instance.dialect, queryTimeoutMs);
  const read = instance.dialect.gtids === 'sets' ? readSets : readDomains;
  return { ...(await read(instance, session, own)), others };
}

/** Whether the server syncs its relay log after each event. */
export async function syncsEachEvent(session: Session): Promise<boolean> {
  const [row] = await session.query('SELECT @@global.sync_relay_log AS period', [], queryTimeoutMs);
  return row?.period === '1';
}

async function readSets(
  instance: Pick<Instance, 'sizes' | 'systemId'>,
  session: Session,
  channel: Channel | null,
): Promise<Omit<Reading, 'others'>> {
  const [row] = await session.query('SELECT @@global.gtid_executed AS executed', [], queryTimeoutMs);
  const executed = readable(parseMysqlGtids(row?.executed ?? ''), row?.executed);
  const cluster = await instance.systemId();
  const make = (set: GtidSet): GtidPosition => ({
    kind: 'gtid',
    set,
    timelines: mysqlTimelines(set, cluster),
    bytesPerTransaction: instance.sizes.bytesPerTransaction,
  });
  const applied = make(executed);
  const received = channel === null ? new Map() : readable(parseMysqlGtids(channel.received), channel.received);
  const position = gtidContains(executed, received) ? applied : make(gtidUnion(executed, received));
  return { position, applied, received: position, channel };
}

/**
 * MariaDB. The numbers that a server has received are in its memory only, and a start in GTID mode throws the relay log away: when they are
 * missing, the position is known only once the applier has been started that way, after the rest of the log was applied (`keepApplying`).
 */
async function readDomains(
  instance: Pick<Instance, 'lines' | 'sizes'>,
  session: Session,
  channel: Channel | null,
): Promise<Omit<Reading, 'others'>> {
  const [row] = await session.query(
    'SELECT @@global.gtid_binlog_pos AS written, @@global.gtid_slave_pos AS replicated',
    [],
    queryTimeoutMs,
  );
  const appliedText = [row?.written, row?.replicated].filter((text) => text).join(',');
  // The log is written a moment before its rows can be seen: then the marker of a new line is not there yet.
  const applied =
    (await historyOf(instance, session, appliedText)) ?? (await historyOf(instance, session, row?.replicated ?? ''));
  if (applied === null) {
    const text = `The table of history lines does not explain the position ${appliedText}.`;
    throw new EngineError('ENGINE_DATA_REFUSED', text, { next: 'Make a new copy of this database.' });
  }
  if (channel === null) return { position: applied, applied, received: applied, channel };
  if (channel.received !== '') {
    const received = await historyOf(instance, session, `${appliedText},${channel.received}`);
    // What is applied later on purpose goes with the next change of the channel: it is nothing to vouch for.
    return { position: waitsOnPurpose(channel) ? applied : received, applied, received, channel };
  }
  const settled = channel.applier === 'running' && channel.usesGtids === 'yes';
  const position = settled || waitsOnPurpose(channel) ? applied : null;
  return { position, applied, received: position, channel };
}

async function historyOf(
  { lines, sizes }: Pick<Instance, 'lines' | 'sizes'>,
  session: Session,
  text: string,
): Promise<GtidPosition | null> {
  const gtids = readable(parseMariadbGtids(text), text);
  const newest = newestSequence(gtids);
  const steps = newest === null || lineOf(newest) === 0 ? new Map() : await lines.upTo(session, lineOf(newest));
  const history = mariadbHistory(gtids, steps);
  return history === null ? null : { kind: 'gtid', ...history, bytesPerTransaction: sizes.bytesPerTransaction };
}

function readable<T>(parsed: T | null, text: string | null | undefined): T {
  if (parsed !== null) return parsed;
  throw new EngineError('ENGINE_INTERNAL', `The server's position cannot be understood: "${text ?? ''}".`, {
    retry: 'unknown',
  });
}
