import type { ClusterContext } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { memberRolePrefix, roles } from '../names.ts';
import { describeSender, memberOfStream } from '../observe/senders.ts';
import type { PgSession, Row } from '../sql/session.ts';

/** Backups last: they are long, and their end is in sight. */
const everySenderQuery = `select s.pid, s.usename, s.client_addr, s.application_name, s.state, c.client_dn, l.slot_name,
  current_setting('max_wal_senders') as most
  from pg_stat_replication s left join pg_replication_slots l on l.active_pid = s.pid
  left join pg_stat_ssl c on c.pid = s.pid
  order by s.state = 'backup', s.backend_start desc`;

/**
 * Keeps a sender for each member: when others have taken so many that a member without a stream finds none, the newest of theirs are ended.
 * What members themselves do beside a stream, and the agent's look at the server, are not theirs.
 */
export async function keepSendersForMembers(
  { config, notices }: Pick<Instance, 'config' | 'notices'>,
  session: PgSession,
  context: ClusterContext,
  timeoutMs: number,
): Promise<void> {
  const senders = await session.rows(everySenderQuery, timeoutMs);
  const streaming = new Set(senders.map((row) => memberOfStream(config.membership, row)));
  const waiting = [...context.members.keys()].filter((member) => member !== context.self && !streaming.has(member));
  const free = Number(senders[0]?.most ?? 0) - senders.length;
  if (senders.length === 0 || free >= waiting.length) return;
  const foreign = senders.filter((row) => memberOfStream(config.membership, row) === null && !isOurs(row));
  for (const row of foreign.slice(0, waiting.length - free)) {
    await session.rows(`select pg_terminate_backend(${row.pid})`, timeoutMs);
    notices.add(
      `All of max_wal_senders (${row.most}) were taken while ${waiting.join(', ')} had no stream: a connection of somebody else was ended (${describeSender({ ...row, pid: null })}). Let them take fewer, or raise max_wal_senders.`,
    );
  }
}

function isOurs(row: Row): boolean {
  if (row.usename === roles.replication || row.usename?.startsWith(memberRolePrefix) === true) return true;
  return row.client_addr === null && row.application_name === 'understudy agent';
}
