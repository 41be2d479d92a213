import { createHash } from 'node:crypto';
import type { AckRule, MemberId } from '@understudy/core';
import { ackRule, memberId } from '@understudy/core';

/** The roles that Understudy keeps in every cluster; each may do only what its name says. */
export const roles = {
  superuser: 'postgres',
  replication: 'understudy_replication',
  rewind: 'understudy_rewind',
  monitor: 'understudy_monitor',
} as const;

const slotPrefix = 'understudy_';

/** Name of the physical slot that keeps log for a member. Slot names know only `a-z0-9_`, so other names get a digest appended. */
export function slotName(member: MemberId): string {
  const plain = member.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_');
  if (plain === member) return slotPrefix + plain;
  return `${slotPrefix}${plain}_${createHash('sha256').update(member).digest('hex').slice(0, 6)}`;
}

/** Whether a slot is one that Understudy made for a member. */
export function isMemberSlot(name: string): boolean {
  return name.startsWith(slotPrefix);
}

/** A list that no real standby is in: commits wait. Keeps synchronous replication switched on in a server that does not lead. */
export const blockingStandbyNames = 'ANY 1 ("understudy nobody")';

/** A rule in the language of `synchronous_standby_names`. */
export function formatStandbyNames(rule: AckRule): string {
  if (rule.required === 0) return '';
  return `ANY ${rule.required} (${rule.members.map((member) => `"${member}"`).join(',')})`;
}

/** Reads back what `formatStandbyNames` wrote; null for anything else. */
export function parseStandbyNames(text: string): AckRule | null {
  if (text === '') return ackRule([], 0);
  const match = /^ANY (\d+) \(("[A-Za-z0-9_-]{1,40}"(?:,"[A-Za-z0-9_-]{1,40}")*)\)$/.exec(text);
  const [, required, list] = match ?? [];
  if (required === undefined || list === undefined) return null;
  return ackRule(
    list.split(',').map((name) => memberId(name.slice(1, -1))),
    Number(required),
  );
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
