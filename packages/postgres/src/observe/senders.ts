import type { Member, MemberId } from '@understudy/core';
import { loginOfRole, memberOfStandby, slotName } from '../names.ts';
import type { Row } from '../sql/session.ts';

/** One connection that is sent the log, with the slot that it uses. */
export const sendersQuery = `select s.pid, s.usename, s.client_addr, c.client_dn, s.application_name, s.state, s.sync_priority,
  s.write_lsn, s.flush_lsn, s.replay_lsn, l.slot_name
  from pg_stat_replication s left join pg_replication_slots l on l.active_pid = s.pid
  left join pg_stat_ssl c on c.pid = s.pid
  where s.pid <> pg_backend_pid()`;

/** How streams of members are told from others. `identity`: whether a member's certificate has its name (see `OwnCertificate`). */
export interface Membership {
  readonly cluster: string;
  readonly identity: 'name' | 'authority';
  /** The members that may use the role that all share: those whose agents are of a version without roles of their own, or have just been upgraded. */
  readonly sharing: ReadonlySet<MemberId> | 'unknown';
}

export const sharesLogin = ({ logins }: Pick<Member, 'logins'>): boolean =>
  logins === undefined || logins.shared === 'in-use';

/**
 * Whose stream it is. A member's own stream has its standby name, a role of that member, and its slot; a slot serves one connection at a
 * time, so nobody else can have all three while the member streams. Another member may choose name and slot, but has not that role's password,
 * and, where certificates have names, not that certificate. Null: not a member's.
 */
export function memberOfStream({ cluster, identity, sharing }: Membership, row: Row): MemberId | null {
  const member = memberOfStandby(cluster, row.application_name ?? '');
  if (member === null || row.slot_name !== slotName(member)) return null;
  if (identity === 'name' && row.client_dn !== `/CN=${member}`) return null;
  const login = loginOfRole(member, row.usename ?? '');
  if (login === null || (login === 'shared' && sharing !== 'unknown' && !sharing.has(member))) return null;
  return member;
}

/**
 * Whether the server may count this connection's replies as acknowledgements although it is no member's stream: the server says so itself
 * (`sync_priority`), or its name is listed (without case, as the server compares) and it has not replied yet. So is one in a member's
 * place that confirms without ever replaying: `pg_receivewal`, no standby.
 *
 * @param listed the running value of `synchronous_standby_names`
 */
export function isForeignAcker(membership: Membership, row: Row, listed: string): boolean {
  if (row.pid === null || row.pid === undefined) return false;
  const isListed = listed.toLowerCase().includes(`"${(row.application_name ?? '').toLowerCase()}"`);
  if (Number(row.sync_priority ?? 0) === 0 && !isListed) return false;
  if (memberOfStream(membership, row) === null) return true;
  return row.flush_lsn !== null && row.replay_lsn === null;
}

/** Names a connection for an operator. */
export function describeSender(row: Row): string {
  const from = row.client_addr ? `from ${row.client_addr}` : 'over the local socket';
  const shown = row.client_dn ? `, certificate of ${JSON.stringify(row.client_dn)}` : '';
  return `${row.pid ? `process ${row.pid}, ` : ''}role ${row.usename} ${from}, application_name ${JSON.stringify(row.application_name)}${shown}`;
}

/** What an operator reads of those who are not members and could acknowledge. */
export function foreignText(rows: readonly Row[]): string {
  const who = rows.map(describeSender).join('; ');
  return `Commits can be acknowledged by somebody who is not a member: ${who}. That connection is ended; give it another application_name.`;
}
