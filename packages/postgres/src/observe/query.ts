import { type Lsn, parseLsn } from '@understudy/core';
import { missing } from '../sql/local.ts';
import type { PgSession, Row } from '../sql/session.ts';

/** Where a server is, by `IDENTIFY_SYSTEM`: durable end of log (a standby: received or replayed) on the timeline it replays. */
export interface Identification {
  readonly systemId: string;
  readonly timeline: number;
  readonly lsn: Lsn;
}

export async function identify(session: PgSession, timeoutMs: number): Promise<Identification> {
  const row = await session.row('IDENTIFY_SYSTEM', timeoutMs);
  const at = parseLsn(row.xlogpos ?? '');
  if (at === null) throw missing('position');
  return { systemId: row.systemid ?? '', timeline: Number(row.timeline), lsn: at };
}

/**
 * Whether the session is still a superuser's: a kept one loses that without a word, and is shown less from then on. What only superusers may is
 * asked for, without a table of the catalog.
 */
const isPrivileged = "has_parameter_privilege('data_directory', 'alter system') as privileged";

/** One sample of a replica. */
export const replicaQuery = `select pg_is_in_recovery() as recovery, ${isPrivileged},
  current_setting('understudy.upstream', true) as upstream, current_setting('understudy.receiver', true) as mark,
  current_setting('primary_conninfo') as conninfo,
  case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() end as pause, pg_last_wal_replay_lsn() as replayed, pg_last_wal_receive_lsn() as received,
  r.status, r.received_tli, r.flushed_lsn, concat_ws(' ', r.pid, r.flushed_lsn, r.last_msg_receipt_time) as signature
  from (values (1)) one left join pg_stat_get_wal_receiver() r on r.pid is not null`;

/** Which steps of a start are over: the waits of two processes tell (see `RunFacts`). */
export const waitsQuery = `select backend_type, wait_event from pg_stat_get_activity(null)
  where backend_type in ('startup', 'checkpointer')`;

/**
 * As the view `pg_stat_replication`, without a table of the catalog: somebody may hold a lock on one (`VACUUM FULL`, `LOCK TABLE`), and the
 * server is well all the same.
 */
const sendersRelation = `(select w.*, a.application_name, a.client_addr, a.ssl_client_dn as client_dn, pg_get_userbyid(a.usesysid) as usename
  from pg_stat_get_wal_senders() w join pg_stat_get_activity(null) a on a.pid = w.pid)`;

/** One sample of a primary: its own row, then one for every connection that is sent the log. */
export const primaryQuery = `select pg_is_in_recovery() as recovery, ${isPrivileged}, current_setting('synchronous_standby_names') as names,
  s.pid, s.usename, s.client_addr, s.client_dn, s.application_name, s.state, s.sync_priority, s.write_lsn, s.flush_lsn, s.replay_lsn, l.slot_name,
  concat_ws(' ', s.pid, s.write_lsn, s.flush_lsn, s.replay_lsn, s.reply_time) as signature
  from (values (1)) one left join ${sendersRelation} s on s.pid <> pg_backend_pid()
  left join pg_get_replication_slots() l on l.active_pid = s.pid`;

/** Waits that the startup process enters only after it has read all local log. */
const endOfLocalLog = new Set(['RecoveryWalStream', 'RecoveryRetrieveRetryInterval']);

export function startupIsAtEnd(rows: readonly Row[]): boolean {
  return rows.some((row) => row.backend_type === 'startup' && endOfLocalLog.has(row.wait_event ?? ''));
}

/** The checkpointer loads the list of synchronous standbys before it first waits for work. */
export function checkpointerIsReady(rows: readonly Row[]): boolean {
  return rows.some((row) => row.backend_type === 'checkpointer' && row.wait_event === 'CheckpointerMain');
}
