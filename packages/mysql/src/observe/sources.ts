import type { GtidPosition } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import type { Dialect } from '../dialect/dialect.ts';
import { parseOwnedGtids } from '../gtid/mysql.ts';
import { isAcknowledger, knownAs } from '../names.ts';
import type { Row, Session } from '../sql/session.ts';
import type { AckSample } from './ack-tracker.ts';

const queryTimeoutMs = 500;

/**
 * One look at a leader's counting: its settings with everybody who receives its log, and its figures before and after. Whoever acknowledges is
 * among those who receive for as long as the server counts it, so a client of both figures that is not among them was somebody else.
 */
export async function sampleAcks(session: Session, dialect: Dialect, position: GtidPosition): Promise<AckSample> {
  const { semiSync } = dialect;
  const before = await readFigures(session, `${semiSync.figures}clients`, semiSync.figures);
  const rows = await session.query(
    `SELECT @@global.${semiSync.sourceEnabled} AS enabled, @@global.${semiSync.waitPoint} AS wait_point,
      ${semiSync.required === null ? '1' : `@@global.${semiSync.required}`} AS required,
      ${dialect.gtids === 'sets' ? '@@global.gtid_owned' : "''"} AS owned, readers.user AS reader, readers.id AS id
    FROM (SELECT 1) AS one LEFT JOIN information_schema.processlist AS readers ON readers.command LIKE 'Binlog Dump%'`,
    [],
    queryTimeoutMs,
  );
  const figures = await readFigures(session, `${semiSync.figures}%`, semiSync.figures);
  const first: Row = rows[0] ?? {};
  const inFlight = parseOwnedGtids(first.owned ?? '');
  if (inFlight === null) {
    throw new EngineError(
      'ENGINE_INTERNAL',
      `The server's list of GTIDs in use cannot be understood: "${first.owned}".`,
      { retry: 'unknown' },
    );
  }
  return {
    enabled: isOn(first.enabled),
    status: isOn(figures.get('status')),
    required: Number(first.required),
    waitPoint: first.wait_point ?? '',
    readers: rows.map(({ reader }) => knownAs(reader ?? '')).filter((reader) => reader !== ''),
    connections: rows.flatMap(({ reader, id }) => (reader && id ? [{ user: knownAs(reader), id: Number(id) }] : [])),
    twins: twinsAmong(rows.map(({ reader }) => reader ?? '')),
    clients: Math.min(Number(before.get('clients') ?? 0), Number(figures.get('clients') ?? 0)),
    inFlight,
    position,
    waiting: Number(figures.get('wait_sessions') ?? 0),
    acknowledged: Number(figures.get('yes_tx') ?? 0),
  };
}

function twinsAmong(users: readonly string[]): number {
  const used = new Set(users.filter(isAcknowledger));
  return used.size - new Set([...used].map(knownAs)).size;
}

const isOn = (text: string | null | undefined): 'on' | 'off' => (text === '1' || text === 'ON' ? 'on' : 'off');

async function readFigures(session: Session, names: string, prefix: string): Promise<ReadonlyMap<string, string>> {
  const rows = await session.query(`SHOW GLOBAL STATUS LIKE '${names.replaceAll('_', '\\_')}'`, [], queryTimeoutMs);
  return new Map(rows.map((row) => [(row.Variable_name ?? '').slice(prefix.length), row.Value ?? '']));
}
