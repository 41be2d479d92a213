import { createHash } from 'node:crypto';
import type { AckRule, LoginSlot, MemberId } from '@understudy/core';
import { memberId } from '@understudy/core';

/** The roles that Understudy keeps in every cluster; each may do only what its name says. */
export const roles = {
  superuser: 'postgres',
  /** The agent's other way to its own server, when somebody locks or renames `postgres`: by the private socket alone, without a password. */
  agent: 'understudy_agent',
  replication: 'understudy_replication',
  rewind: 'understudy_rewind',
  monitor: 'understudy_monitor',
} as const;

/** Whose members log in to replicate: `pg_hba.conf` names this one instead of each of them. */
export const membersRole = 'understudy_members';

export const memberRolePrefix = 'understudy_repl_';

/** One of a member's two roles for replication, of which one is in use and the other takes the next password. */
export function memberRole(member: MemberId, slot: LoginSlot): string {
  return `${memberRolePrefix}${member}_${slot}`;
}

/** Which of the logins of `member` that role is; null: none. */
export function loginOfRole(member: MemberId, role: string): LoginSlot | 'shared' | null {
  if (role === roles.replication) return 'shared';
  return (['a', 'b'] as const).find((slot) => memberRole(member, slot) === role) ?? null;
}

const slotPrefix = 'understudy_';

/** Name of the physical slot that keeps log for a member. Slot names know only `a-z0-9_`, so other names get a digest appended. */
export function slotName(member: MemberId): string {
  const plain = member.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_');
  if (plain === member) return slotPrefix + plain;
  return `${slotPrefix}${plain}_${createHash('sha256').update(member).digest('hex').slice(0, 6)}`;
}

/** A list that no real standby is in: commits wait. Keeps synchronous replication switched on in a server that does not lead. */
export const blockingStandbyNames = 'ANY 1 ("understudy nobody")';

/**
 * The `application_name` of a member's receiver. PostgreSQL takes an acknowledgement from any connection whose name is listed, and compares
 * names without case: so a plain member name would also count a `pg_receivewal` or a standby of somebody's that happens to be called so, and
 * `DB1` for `db1`. The digest keeps all of them apart. It is no secret (everybody may read the list): who copies it is found by `isOwnStream`.
 */
export function standbyName(cluster: string, member: MemberId): string {
  const digest = createHash('sha256').update(`understudy standby\0${cluster}\0${member}`).digest('hex').slice(0, 16);
  return `${member}.${digest}`;
}

/** Whose receiver has that name; null when it is nobody's of this cluster. */
export function memberOfStandby(cluster: string, name: string): MemberId | null {
  const plain = /^([A-Za-z0-9_-]{1,40})\.[0-9a-f]{16}$/.exec(name)?.[1];
  if (plain === undefined) return null;
  const member = memberId(plain);
  return standbyName(cluster, member) === name ? member : null;
}

/** A rule in the language of `synchronous_standby_names`. */
export function formatStandbyNames(cluster: string, rule: AckRule): string {
  if (rule.required === 0) return '';
  return `ANY ${rule.required} (${rule.members.map((member) => `"${standbyName(cluster, member)}"`).join(',')})`;
}

/** Quotes a value for a PostgreSQL configuration file or an SQL string (`standard_conforming_strings`). */
export function quoteLiteral(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** Quotes a value for a configuration file, where a backslash is an escape too. */
export function quoteSetting(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Quotes an SQL identifier. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a value of a libpq connection string. */
export function quoteConninfo(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
