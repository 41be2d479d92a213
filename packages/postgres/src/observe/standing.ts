import type { PgSession, Row } from '../sql/session.ts';

const tablespacesQuery = 'select spcname, pg_tablespace_location(oid) as place from pg_tablespace where oid >= 16384';

/** A replica archives only when it is told to; what it met when it led says nothing. */
const archiverQuery = `select last_failed_wal, to_char(last_failed_time, 'YYYY-MM-DD HH24:MI:SS TZ') as at
  from pg_stat_archiver where last_failed_time > coalesce(last_archived_time, '-infinity')
  and current_setting('archive_mode') = any (case when pg_is_in_recovery() then '{always}' else '{on,always}' end::text[])`;

const logicalQuery = `select s.slot_name, s.database, a.client_addr, a.application_name
  from pg_replication_slots s left join pg_stat_activity a on a.pid = s.active_pid
  where s.slot_type = 'logical' and not s.temporary`;

/** Servers that can copy slots know these columns. */
const copiedQuery = `${logicalQuery} and not (s.failover and (s.synced or not pg_is_in_recovery()))`;

const feedbackQuery = `select name from pg_settings where (name, setting) in (('hot_standby_feedback', 'off'), ('wal_level', 'replica'))`;

/** What stands on a server and will be in the way one day: said before a copy, a failover or a full disk depends on it. */
export async function standingWarnings(
  session: PgSession,
  role: 'primary' | 'replica',
  copiesSlots: 'yes' | 'no',
  timeoutMs: number,
): Promise<readonly string[]> {
  const tablespaces = await session.rows(tablespacesQuery, timeoutMs);
  const archiver = await session.rows(archiverQuery, timeoutMs);
  const slots = await session.rows(copiesSlots === 'yes' ? copiedQuery : logicalQuery, timeoutMs);
  const lacking = copiesSlots === 'yes' ? await session.rows(feedbackQuery, timeoutMs) : [];
  return [
    ...tablespaces.map(
      ({ spcname, place }) =>
        `The tablespace ${spcname} lies in ${place}, outside of the data directory: no member can be copied while it is there, members without that folder cannot apply it, and members of one host write into one folder. Move its tables into the default tablespace and drop it.`,
    ),
    ...archiver.map(
      ({ at, last_failed_wal }) =>
        `archive_command fails (last at ${at}, for ${last_failed_wal}): log is kept until it succeeds, and fills the disk. The server's log says why.`,
    ),
    ...lacking.map(
      ({ name }) =>
        `sync_replication_slots is on and copies nothing: it needs hot_standby_feedback=on and wal_level=logical, and ${name} is not.`,
    ),
    ...slots.map((row) => slotWarning(row, role)),
  ];
}

function slotWarning({ slot_name, database, client_addr, application_name }: Row, role: 'primary' | 'replica'): string {
  const reader = application_name ? `${application_name}${client_addr ? ` at ${client_addr}` : ''}` : 'who reads it';
  return role === 'primary'
    ? `The logical slot ${slot_name} (database ${database}) does not survive a failover: ${reader} must be set up anew then.`
    : `The logical slot ${slot_name} (database ${database}) holds log here, and moves only when somebody reads it here. If it is left from when this member led: pg_drop_replication_slot('${slot_name}').`;
}
