import type { Dialect } from '../dialect/dialect.ts';
import { shortText } from '../observe/applier.ts';
import type { Channel } from '../observe/channel.ts';
import type { Row, Session } from '../sql/session.ts';

const queryTimeoutMs = 1000;
/** A shorter transaction is none that one would wait for. */
const longTransactionS = 2;

/** The transaction that the applier has been in for longest, with what its thread does; its rows are not in the answer. */
const applierQuery = `SELECT threads.state AS state, TIMESTAMPDIFF(SECOND, trx.trx_started, NOW()) AS seconds, trx.trx_rows_modified AS changed,
    trx.trx_state AS trx_state
  FROM information_schema.processlist AS threads
  LEFT JOIN information_schema.innodb_trx AS trx ON trx.trx_mysql_thread_id = threads.id
  WHERE threads.user = 'system user' AND (trx.trx_id IS NOT NULL OR threads.state LIKE 'Waiting for table%lock%' OR threads.state LIKE 'Waiting for%metadata lock')
  ORDER BY trx.trx_started IS NULL, trx.trx_started LIMIT 1`;

/**
 * Why a replica lags, in one sentence with what to do.
 *
 * @param lagMs how long it has lagged.
 */
export async function lagCause(
  session: Session,
  { workers }: Pick<Dialect, 'workers'>,
  channel: Channel,
  lagMs: number,
): Promise<string> {
  const lag = `This replica has applied nothing of the last ${Math.round(lagMs / 1000)} s or more`;
  if (channel.delayS > 0) return `${lag}: it is delayed on purpose by ${channel.delayS} s.`;
  if (channel.applier === 'stopped') return `${lag}: its applier is stopped.`;
  const [row] = await session.query(applierQuery, [], queryTimeoutMs);
  const waits = row === undefined ? null : lockWait(row);
  if (waits !== null) {
    return `${lag}: its applier waits for a lock (${waits}) that a session on this server holds. End that session (SHOW PROCESSLIST).`;
  }
  const seconds = Number(row?.seconds ?? 0);
  if (seconds >= longTransactionS) {
    return `${lag}: it is applying one transaction of ${row?.changed ?? '?'} row changes so far, for ${seconds} s. Others wait for it; smaller transactions lag less.`;
  }
  const [setting] = await session.query(`SELECT @@global.${workers} AS workers`, [], queryTimeoutMs);
  return `${lag}: more is written than its ${setting?.workers ?? '?'} applier threads can apply. More of them (${workers}), faster disks or fewer writes help.`;
}

function lockWait(row: Row): string | null {
  if (row.trx_state === 'LOCK WAIT') return 'of a row';
  return /waiting for/i.test(row.state ?? '') && /lock/i.test(row.state ?? '') ? shortText(row.state ?? '') : null;
}
