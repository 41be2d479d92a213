import { createHash } from 'node:crypto';
import type { LoginSlot, MemberId } from '@understudy/core';

/** The schema that Understudy keeps in every database that it leads. */
export const schemaName = 'understudy';

/** The accounts of every cluster; each may do only what its name says. */
export const accounts = {
  /** The agent's own, over the private socket only. */
  admin: 'us_admin',
  /** Replication without acknowledging. */
  copy: 'us_copy',
  /** Reads everything, for a new copy. */
  clone: 'us_clone',
  /** Reads statistics only. */
  monitor: 'us_monitor',
} as const;

export const ackPrefix = 'us_ack_';
/** MySQL allows 32 characters in an account's name. */
const accountLength = 32;

/** The account with which a member's replica acknowledges. Account names are short, so a long member name gets a digest. */
export function ackAccount(member: MemberId): string {
  const plain = ackPrefix + member;
  if (plain.length <= accountLength) return plain;
  const digest = createHash('sha256').update(member).digest('hex').slice(0, 8);
  return `${plain.slice(0, accountLength - 9)}~${digest}`;
}

/** The account of a member's own login: as `ackAccount`, with a password that no other member has. Of the two one is in use. */
export const ownAccount = (member: MemberId, slot: LoginSlot): string =>
  `us_a${slot}_${ackAccount(member).slice(ackPrefix.length)}`;

/** The account by which others know whoever has logged in as `user`: a member acknowledges as one, whichever login it has used. */
export const knownAs = (user: string): string => user.replace(/^us_a[ab]_/, ackPrefix);

/** Whether `user` is an account of members that acknowledge. */
export const isAcknowledger = (user: string): boolean => knownAs(user).startsWith(ackPrefix);

/** The same in SQL, of a column. */
export const acknowledgersIn = (column: string): string =>
  `(${column} LIKE 'us\\_ack\\_%' OR ${column} LIKE 'us\\_aa\\_%' OR ${column} LIKE 'us\\_ab\\_%')`;

/** Which login of `member` that account is; null: it is another account. */
export function loginOfAccount(member: MemberId, user: string): LoginSlot | 'shared' | null {
  if (user === ackAccount(member)) return 'shared';
  return (['a', 'b'] as const).find((slot) => ownAccount(member, slot) === user) ?? null;
}

/** Quotes a value for an SQL text whose session has the usual `sql_mode` (backslash is an escape). */
export function quoteLiteral(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Quotes the name of a table, a column or a schema. */
export function quoteIdentifier(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** An account as SQL writes it. */
export function quoteAccount(user: string, host: string): string {
  return `${quoteLiteral(user)}@${quoteLiteral(host)}`;
}

/** Our accounts may come from anywhere that the network lets through: what keeps strangers out is the password, and TLS where it is configured. */
export const anywhere = '%';

/** An account of ours as statements name it. */
export const accountOf = (user: string): string => quoteAccount(user, anywhere);
