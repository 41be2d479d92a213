import type { PromiseVoid } from '@understudy/core';
import { hindrances } from '../config/hindrances.ts';
import { settingsProfiles } from '../config/settings.ts';
import type { Instance } from '../instance.ts';
import { isAcknowledger } from '../names.ts';
import { readChannel } from '../observe/channel.ts';
import type { Session } from '../sql/session.ts';

const queryTimeoutMs = 2000;

type Parts = Pick<Instance, 'dialect' | 'programs'>;
type Role = 'replica' | 'primary' | 'unknown';
type Effect = PromiseVoid['effect'];

/**
 * What a privileged session can change while the server runs, of what we set at its start. `assumed`: a server that loses power, or crashes,
 * loses what it acknowledged. `loss`: replicas hold other data than their leader, or nobody was waited for.
 */
const ofProfile: Readonly<Record<string, Effect>> = {
  sync_binlog: 'assumed',
  innodb_flush_log_at_trx_commit: 'assumed',
  innodb_doublewrite: 'assumed',
  binlog_checksum: 'assumed',
  relay_log_recovery: 'loss',
  binlog_format: 'loss',
  binlog_row_image: 'loss',
  log_replica_updates: 'loss',
  log_slave_updates: 'loss',
  gtid_mode: 'loss',
  enforce_gtid_consistency: 'loss',
  gtid_strict_mode: 'loss',
  gtid_domain_id: 'loss',
  replica_preserve_commit_order: 'assumed',
};

interface Watch {
  readonly effect: Effect;
  readonly isGood: (value: string) => boolean;
  readonly wanted: string;
  readonly why: string;
}

const is = (wanted: string, effect: Effect, why: string): Watch => ({
  effect,
  wanted,
  why,
  isGood: (value) => value.toUpperCase() === wanted,
});

const skips = 'changes that fail on this member are left out without a word';
const forever = 'the server must never stop waiting for acknowledgements by itself';

/** What we leave as it is by default, and what takes the promise away when somebody changes it. */
const others: Readonly<Record<string, Watch>> = {
  replica_skip_errors: is('OFF', 'loss', skips),
  slave_skip_errors: is('OFF', 'loss', skips),
  replica_exec_mode: is('STRICT', 'loss', skips),
  slave_exec_mode: is('STRICT', 'loss', skips),
  binlog_error_action: is('ABORT_SERVER', 'loss', 'a log that cannot be written would be switched off'),
  innodb_flush_method: {
    effect: 'assumed',
    wanted: 'O_DIRECT',
    isGood: (value) => !unsyncedMethods.has(value.toLowerCase()),
    why: 'what is written must be synced',
  },
  innodb_force_recovery: is('0', 'assumed', 'what a recovery should repair is left as it is'),
  innodb_checksum_algorithm: {
    effect: 'assumed',
    wanted: 'full_crc32',
    isGood: (value) => !/none$/i.test(value),
    why: 'damaged pages must be noticed',
  },
  replica_sql_verify_checksum: is('ON', 'assumed', 'a damaged relay log must be noticed'),
  slave_sql_verify_checksum: is('ON', 'assumed', 'a damaged relay log must be noticed'),
  rpl_semi_sync_source_timeout: is('4294967295', 'loss', forever),
  rpl_semi_sync_master_timeout: is('4294967295', 'loss', forever),
  rpl_semi_sync_source_wait_no_replica: is('ON', 'loss', forever),
  rpl_semi_sync_master_wait_no_slave: is('ON', 'loss', forever),
};

/** Of MariaDB only: MySQL's does not end a wait. */
const ofMariadb: Readonly<Record<string, Watch>> = {
  max_statement_time: {
    effect: 'loss',
    wanted: '0',
    isGood: (value) => Number(value) === 0,
    why: 'a commit whose time is up while it waits for its replicas is answered with success',
  },
};

export const unsyncedMethods: ReadonlySet<string> = new Set(['nosync', 'littlesync', 'o_direct_no_fsync']);

/**
 * Everything of this server that voids the promise, read from the server itself: each a sentence with the value and what to do. Two or three
 * cheap queries. (A session that writes with `sql_log_bin = 0` leaves no trace, so nobody can find it.)
 */
export async function readVoids(instance: Parts, session: Session, role: Role): Promise<readonly PromiseVoid[]> {
  const found = [
    await changedSettings(instance, session),
    await filters(instance, session),
    role === 'replica' ? await unsyncedReceiver(instance, session) : [],
    instance.programs.flavour === 'mysql' ? await withoutRedo(session) : [],
  ];
  return found.flat();
}

async function changedSettings({ programs }: Parts, session: Session): Promise<readonly PromiseVoid[]> {
  const watches = watchesOf(programs.flavour);
  const list = [...watches.keys()].map((name) => `'${name}'`).join(', ');
  const rows = await session.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`, [], queryTimeoutMs);
  const seen = new Set<string>();
  return rows.flatMap(({ Variable_name, Value }) => {
    const [name, value] = [(Variable_name ?? '').toLowerCase(), Value ?? ''];
    const watch = watches.get(name);
    // MySQL shows some by two names.
    const plain = name.replace('slave', 'replica').replace('master', 'source');
    if (watch === undefined || watch.isGood(value) || seen.has(plain)) return [];
    seen.add(plain);
    const text = `${name} was changed to ${value}, but ${watch.why}. Run SET GLOBAL ${name} = ${watch.wanted}, or restart this member.`;
    return [{ effect: watch.effect, text }];
  });
}

function watchesOf(flavour: Parts['programs']['flavour']): ReadonlyMap<string, Watch> {
  const watches = new Map(Object.entries(flavour === 'mariadb' ? { ...others, ...ofMariadb } : others));
  for (const [name, value, why] of settingsProfiles[flavour].fixed) {
    const effect = ofProfile[name];
    if (effect !== undefined) watches.set(name, is(value.toUpperCase(), effect, why));
  }
  for (const [name, { isBad, wanted, why, effect }] of Object.entries(hindrances[flavour])) {
    if (effect === 'loss') watches.set(name, { effect, wanted, why, isGood: (value) => !isBad.test(value) });
  }
  return watches;
}

async function filters({ dialect }: Parts, session: Session): Promise<readonly PromiseVoid[]> {
  const channel = await readChannel(session, dialect, queryTimeoutMs);
  const [log] = await session.query(dialect.logStatus, [], queryTimeoutMs);
  const ofLog = ['Binlog_Do_DB', 'Binlog_Ignore_DB']
    .filter((name) => log?.[name])
    .map((name) => `${name}=${log?.[name]}`);
  const all = [...(channel?.filters ?? []), ...ofLog];
  if (all.length === 0) return [];
  const text = `Replication filters are set (${all.join(', ')}): this member's data is not its leader's. Remove them and make a new copy (\`understudy reinit\`).`;
  return [{ effect: 'loss', text }];
}

/** A member that catches up receives unsynced on purpose, with its other account. */
async function unsyncedReceiver({ dialect }: Parts, session: Session): Promise<readonly PromiseVoid[]> {
  const [row] = await session.query('SELECT @@global.sync_relay_log AS period', [], queryTimeoutMs);
  const channel = await readChannel(session, dialect, queryTimeoutMs);
  if (row?.period === '1' || channel === null || !isAcknowledger(channel.user) || channel.receiver !== 'running')
    return [];
  const text = `sync_relay_log was changed to ${row?.period}, but what this member acknowledges must survive a loss of power. Run SET GLOBAL sync_relay_log = 1, or restart this member.`;
  return [{ effect: 'assumed', text }];
}

async function withoutRedo(session: Session): Promise<readonly PromiseVoid[]> {
  const [row] = await session.query("SHOW GLOBAL STATUS LIKE 'Innodb_redo_log_enabled'", [], queryTimeoutMs);
  if (row === undefined || row.Value === 'ON') return [];
  const text =
    'The redo log was switched off: a crash leaves data that no start can repair. Run ALTER INSTANCE ENABLE INNODB REDO_LOG.';
  return [{ effect: 'loss', text }];
}
