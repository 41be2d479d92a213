import { binlogName, relayLogName } from '../disk/binlog-files.ts';
import type { Flavour } from '../programs.ts';
import { hindrances } from './hindrances.ts';

/** Lines of a configuration file, `name = value`, or the name alone; one may come more than once (`plugin_load_add`). */
export type Settings = readonly (readonly [name: string, value: string | null])[];

/** Server variables by which one product says what every server of a cluster must have. */
export interface SettingsProfile {
  /** What we set whatever anybody says, and why: for the text of a refusal. */
  readonly fixed: readonly (readonly [name: string, value: string, why: string])[];
  /** What a user may set otherwise. */
  readonly defaults: Settings;
}

const fenced = 'a server starts read-only, and only its agent opens it';
const durable = 'what was acknowledged must survive a crash';
const history = 'positions are sets of GTIDs, and every member must be able to become a source';
const acks = 'the agent decides who acknowledges';
const ours = 'the agent starts replication itself';

const common = [
  ['read_only', 'ON', fenced],
  ['event_scheduler', 'OFF', fenced],
  ['log_bin', binlogName, history],
  ['binlog_format', 'ROW', history],
  ['binlog_row_image', 'FULL', history],
  // What is damaged on its way, or on a disk, is never applied.
  ['binlog_checksum', 'CRC32', 'what is received is known to be whole by its checksums'],
  ['relay_log', relayLogName, history],
  // What was received and acknowledged lies in the relay log: it is never thrown away at a start.
  ['relay_log_recovery', 'OFF', durable],
  ['sync_relay_log', '1', durable],
  ['sync_binlog', '1', durable],
  ['innodb_flush_log_at_trx_commit', '1', durable],
  ['innodb_doublewrite', 'ON', durable],
  // Names of hosts would make every login wait for a resolver, and our accounts are by address.
  ['skip_name_resolve', 'ON', 'logins must not wait for a name server'],
] as const;

const mysql: SettingsProfile = {
  fixed: [
    ...common,
    ['super_read_only', 'ON', fenced],
    ['skip_replica_start', 'ON', ours],
    ['gtid_mode', 'ON', history],
    ['enforce_gtid_consistency', 'ON', history],
    ['log_replica_updates', 'ON', history],
    ['replica_preserve_commit_order', 'ON', history],
    ['plugin_load_add', 'semisync_source.so', acks],
    ['plugin_load_add', 'semisync_replica.so', acks],
    ['plugin_load_add', 'mysql_clone.so', 'new copies are made with it'],
    ['rpl_semi_sync_source_enabled', 'OFF', acks],
    ['rpl_semi_sync_source_wait_point', 'AFTER_SYNC', acks],
    ['rpl_semi_sync_source_wait_no_replica', 'ON', acks],
    ['rpl_semi_sync_source_timeout', '4294967295', acks],
    ['rpl_semi_sync_replica_enabled', 'OFF', acks],
    // Written by SET PERSIST and read after every file: it would win over all of this.
    ['persisted_globals_load', 'OFF', 'SET PERSIST would override the settings of the cluster'],
  ],
  defaults: [
    ['replica_parallel_workers', '4'],
    // A replica syncs its relay log once for each event, and a transaction is two events in this form instead of five or more.
    ['binlog_transaction_compression', 'ON'],
    ['binlog_transaction_compression_level_zstd', '1'],
    ['replica_net_timeout', '4'],
    ['binlog_expire_logs_seconds', '604800'],
    ['innodb_buffer_pool_size', '64M'],
    ['innodb_redo_log_capacity', '100M'],
    ['performance_schema', 'OFF'],
    ['mysqlx', 'OFF'],
    // Debian's default is a folder that need not exist.
    ['secure_file_priv', 'NULL'],
  ],
};

/** How MariaDB applies while `commands/received.ts` does not say otherwise. */
export const mariadbParallelMode = 'optimistic';

const mariadb: SettingsProfile = {
  fixed: [
    ...common,
    ['skip_slave_start', 'ON', ours],
    ['gtid_strict_mode', 'ON', history],
    ['gtid_domain_id', '0', history],
    ['log_slave_updates', 'ON', history],
    ['slave_parallel_mode', mariadbParallelMode, 'the agent applies one by one what it must know to be applied'],
    ['rpl_semi_sync_master_enabled', 'OFF', acks],
    ['rpl_semi_sync_master_wait_point', 'AFTER_SYNC', acks],
    ['rpl_semi_sync_master_wait_no_slave', 'ON', acks],
    ['rpl_semi_sync_master_timeout', '4294967295', acks],
    ['rpl_semi_sync_slave_enabled', 'OFF', acks],
    // What a recovery keeps of the log. The agent says otherwise for a single start.
    ['init_rpl_role', 'MASTER', durable],
  ],
  defaults: [
    ['slave_parallel_threads', '4'],
    // The text of each statement is an event of its own, and a replica syncs its relay log once for each event: four for a row instead of five.
    ['replicate_annotate_row_events', 'OFF'],
    ['slave_net_timeout', '4'],
    ['binlog_expire_logs_seconds', '604800'],
    ['innodb_buffer_pool_size', '64M'],
    ['innodb_log_file_size', '64M'],
    ['performance_schema', 'OFF'],
  ],
};

export const settingsProfiles: Readonly<Record<Flavour, SettingsProfile>> = { mysql, mariadb };

/** Where and as whom a server runs: ours alone, on every product. */
const placed = [
  'basedir',
  'datadir',
  'socket',
  'pid_file',
  'tmpdir',
  'port',
  'bind_address',
  'server_id',
  'init_file',
  'user',
  'log_error',
  'log_bin_index',
  'relay_log_index',
  'ssl_ca',
  'ssl_cert',
  'ssl_key',
] as const;

/** Where parts of the data would lie elsewhere: a copy takes the place of the whole directory, on one disk. */
const elsewhere = [
  'innodb_data_home_dir',
  'innodb_log_group_home_dir',
  'innodb_undo_directory',
  'innodb_doublewrite_dir',
  'innodb_temp_tablespaces_dir',
  'innodb_directories',
  'aria_log_dir_path',
  'relay_log_info_file',
  'innodb_tmpdir',
  'slave_load_tmpdir',
  'replica_load_tmpdir',
] as const;

/** Other names of what we set: they would reach the same variables. */
const aliases: Readonly<Record<string, string>> = {
  skip_slave_start: 'skip_replica_start',
  log_slave_updates: 'log_replica_updates',
  slave_preserve_commit_order: 'replica_preserve_commit_order',
  plugin_load: 'plugin_load_add',
  replicate_same_server_id: 'server_id',
  slave_skip_errors: 'replica_skip_errors',
  slave_exec_mode: 'replica_exec_mode',
  slave_sql_verify_checksum: 'replica_sql_verify_checksum',
  storage_engine: 'default_storage_engine',
};

const skipsErrors = 'a change that fails on a replica must stop it, not be left out';

/** Nobody may set these: what they do by default is what the promise needs. */
const untouched: Readonly<Record<string, string>> = {
  replica_skip_errors: skipsErrors,
  replica_exec_mode: skipsErrors,
  binlog_error_action: 'a log that cannot be written must end the server',
  innodb_force_recovery: 'a server that is opened must be whole',
  replica_sql_verify_checksum: 'what is received is known to be whole by its checksums',
  gtid_ignore_duplicates: history,
};

/** Values that take the promise away, of settings that anybody may set otherwise. */
const refusedValues: Readonly<Record<string, readonly [pattern: RegExp, why: string]>> = {
  innodb_flush_method: [/^(nosync|littlesync|o_direct_no_fsync)$/i, durable],
  innodb_checksum_algorithm: [/none$/i, 'damaged pages must be noticed'],
  default_storage_engine: [/^(?!innodb$)/i, 'only InnoDB keeps what was acknowledged through a crash'],
};

/** Of MariaDB only: MySQL's does not end a wait. */
const untouchedOfMariadb: Readonly<Record<string, string>> = {
  max_statement_time:
    'a commit whose time is up while it waits for its replicas is answered with success; set it for a session or an account that only reads',
};

/** What would quietly change which data a replica holds. */
const filters = /^(replicate_(do|ignore|wild|rewrite)_|binlog_(do|ignore)_db)/;

/** A name as the server knows it: `skip-replica-start`, `loose_skip_replica_start` and the like become one. */
export function canonicalName(name: string): string {
  const plain = name.trim().toLowerCase().replaceAll('-', '_');
  const bare = plain.replace(/^(loose_|maximum_|enable_)/, '');
  return aliases[bare] ?? bare.replace(/^disable_/, '');
}

/**
 * Why a name may be set by nobody but us, or not to that value.
 *
 * @returns half a sentence; null when anybody may set it.
 */
export function reservedReason(name: string, flavour: Flavour, value: string | null = null): string | null {
  const canonical = canonicalName(name);
  // `skip_X` switches X off.
  const names = [canonical, canonical.replace(/^skip_/, '')];
  const { fixed } = settingsProfiles[flavour];
  const found = fixed.find(([fixedName]) => names.includes(canonicalName(fixedName)));
  if (found !== undefined) return found[2];
  if (placed.some((placedName) => names.includes(placedName))) return 'it comes from the options of this member';
  if (elsewhere.some((name) => names.includes(name))) {
    return 'all data of a member lies in its data directory, which a copy replaces as a whole';
  }
  if (names.some((one) => filters.test(one))) return 'every member must hold the same data';
  if (/^rpl_semi_sync_/.test(canonical)) return acks;
  const left = untouched[canonical] ?? (flavour === 'mariadb' ? untouchedOfMariadb[canonical] : undefined);
  if (left !== undefined) return left;
  const hindrance = hindrances[flavour][canonical];
  if (value !== null && hindrance?.isBad.test(value)) return hindrance.why;
  const [pattern, why] = refusedValues[canonical] ?? [];
  return pattern !== undefined && why !== undefined && pattern.test(value ?? '') ? why : null;
}
