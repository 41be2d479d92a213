import { type Lsn, parseLsn } from '@understudy/core';
import { missing } from './local.ts';
import type { PgSession } from './session.ts';

/**
 * Writes a small message into the log and waits until it is on the local disk (not for standbys). No table changes.
 *
 * @returns the end of the durable log, at or after the message.
 */
export async function writeAndFlush(session: PgSession, major: number, text: string, timeoutMs: number): Promise<Lsn> {
  // From 17 on the function flushes by itself; before, only a commit does, which costs a transaction number.
  const sql =
    major >= 17
      ? `select pg_logical_emit_message(false, 'understudy', '${text}', true)`
      : `begin; set local synchronous_commit = local; select pg_logical_emit_message(true, 'understudy', '${text}'); commit`;
  await session.rows(sql, timeoutMs);
  const row = await session.row('select pg_current_wal_flush_lsn() as flushed', timeoutMs);
  const flushed = parseLsn(row.flushed ?? '');
  if (flushed === null) throw missing('end of log');
  return flushed;
}
