import { createHash } from 'node:crypto';
import type { MemberId } from '@understudy/core';

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
