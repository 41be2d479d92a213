import type { Flavour } from '../programs.ts';

/** A setting with values under which a replica cannot receive, apply or be copied, or holds other rows than its leader. */
export interface Hindrance {
  /** Tried on a value of a file (empty for a name alone) and on one that the server shows. */
  readonly isBad: RegExp;
  readonly wanted: string;
  /** Half a sentence. */
  readonly why: string;
  readonly effect: 'hinders' | 'loss';
}

const on = /^(on|1|true|yes|)$/i;
const hinders = (isBad: RegExp, wanted: string, why: string): Hindrance => ({ isBad, wanted, why, effect: 'hinders' });

const readOnly = hinders(on, 'OFF', "the servers' own replication would write nothing");
const packet = hinders(
  /^(?!(1073741824|1048576k|1024m|1g)$)/i,
  '1073741824',
  'a replica must take the largest row that a leader takes',
);
const conversions: Hindrance = {
  isBad: /all_lossy/i,
  wanted: "''",
  why: 'a replica would hold other values than its leader',
  effect: 'loss',
};

const ofBoth: Readonly<Record<string, Hindrance>> = {
  transaction_read_only: readOnly,
  tx_read_only: readOnly,
  innodb_read_only: readOnly,
  max_join_size: hinders(/^(?!18446744073709551615$)/, '18446744073709551615', 'it ends receiving and applying'),
  replica_max_allowed_packet: packet,
  slave_max_allowed_packet: packet,
  replica_type_conversions: conversions,
  slave_type_conversions: conversions,
};

const ofMariadb: Readonly<Record<string, Hindrance>> = {
  slave_run_triggers_for_rbr: {
    isBad: /^(?!(no|0)$)/i,
    wanted: 'NO',
    why: 'rows that a trigger wrote on the leader would be written on a replica once more',
    effect: 'loss',
  },
  enforce_storage_engine: hinders(/./, 'NULL', 'tables of the leader could not be made on a replica'),
  slave_max_statement_time: hinders(/^(?!0+(\.0+)?$)/, '0', 'a change that takes longer stops its applier'),
  idle_write_transaction_timeout: hinders(/^(?!0+$)/, '0', 'it ends what applies the received log after a start'),
  max_password_errors: hinders(
    /^(?!4294967295$)/,
    '4294967295',
    'wrong passwords from anywhere would lock out the accounts of replication',
  ),
  secure_timestamp: hinders(/^(yes|replication|2|3)$/i, 'NO', 'what was received before a start could not be applied'),
  // Replication logs in without the right that passes it over (see `accounts.ts`).
  init_connect: hinders(
    /(^|;)\s*(?!set\b)[^\s;]/i,
    "''",
    'the accounts of replication run it too, and where it fails for them they cannot log in; it may hold SET statements',
  ),
};

export const hindrances: Readonly<Record<Flavour, Readonly<Record<string, Hindrance>>>> = {
  mysql: ofBoth,
  mariadb: { ...ofBoth, ...ofMariadb },
};

/** Why a server that demands encryption cannot be had, as half a sentence; null when it can. */
export function transportReason(name: string, value: string | null, tls: object | null): string | null {
  if (name !== 'require_secure_transport' || tls !== null || !on.test(value ?? '')) return null;
  return 'replication is not encrypted here and would be refused: set engine.tls first';
}
