import { createHash } from 'node:crypto';
import type { LimitParameter } from '../disk/control-file.ts';
import { limitParameters } from '../disk/control-file.ts';
import { quoteSetting } from '../names.ts';

/** What the generated include says beside plain parameters: whom to follow and whose acknowledgements to await. */
export interface ReplicationSettings {
  /** Null: sealed, or not told yet. */
  readonly upstream: { readonly member: string; readonly conninfo: string; readonly slot: string } | null;
  readonly standbyNames: string;
}

export interface ParameterSources {
  readonly node: Readonly<Record<string, string>>;
  readonly cluster: Readonly<Record<string, string>>;
  /** What the server's own history demands at least (P12); null for a new one. */
  readonly limits: Readonly<Record<LimitParameter, number>> | null;
}

/** Frugal enough for several servers on one machine, and quick to notice a dead peer. Anybody may set them otherwise. */
const defaults: Readonly<Record<string, string>> = {
  shared_buffers: '64MB',
  wal_level: 'replica',
  max_wal_senders: '16',
  max_replication_slots: '16',
  max_slot_wal_keep_size: '1GB',
  wal_keep_size: '64MB',
  wal_sender_timeout: '5s',
  // A receiver that hears nothing asks after half of this: an idle stream shows life every 600 ms, within `suspectAfterMs`.
  wal_receiver_timeout: '1200ms',
  wal_receiver_status_interval: '1s',
  wal_retrieve_retry_interval: '100ms',
  password_encryption: 'scram-sha-256',
  log_line_prefix: '%m [%p] %q%u@%d ',
};

/** Without these there is no rewind, no replica or no fence. */
const required: Readonly<Record<string, string>> = {
  hot_standby: 'on',
  wal_log_hints: 'on',
  full_page_writes: 'on',
  restart_after_crash: 'off',
  recovery_target_timeline: 'latest',
};

/** Set by Understudy alone, so a value of the user's would be lost or would break a proof. */
export const reservedSettings: ReadonlySet<string> = new Set([
  ...Object.keys(required),
  'primary_conninfo',
  'primary_slot_name',
  'synchronous_standby_names',
  'synchronous_commit',
  'listen_addresses',
  'port',
  'unix_socket_directories',
  'unix_socket_permissions',
  'hba_file',
  'data_directory',
  'config_file',
  'ssl',
  'ssl_cert_file',
  'ssl_key_file',
  'ssl_ca_file',
  'recovery_target',
  'recovery_target_lsn',
  'recovery_target_time',
  'recovery_target_name',
  'recovery_target_xid',
  'recovery_target_action',
  'external_pid_file',
  'promote_trigger_file',
]);

/** What the command line fixes: neither ALTER SYSTEM nor a later line of a file can change it. */
export function fixedArguments(server: { host: string; port: number; socketDir: string; hbaFile: string }): string[] {
  const fixed = {
    ...required,
    listen_addresses: server.host,
    port: String(server.port),
    unix_socket_directories: server.socketDir,
    unix_socket_permissions: '0700',
    hba_file: server.hbaFile,
  };
  return Object.entries(fixed).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Names that the generated include sets and that nothing else may override: a proof reads their running values. */
export const provenSettings = ['primary_conninfo', 'primary_slot_name', 'synchronous_standby_names'] as const;

/** Merges checked parameters: defaults, then the node's, then the cluster's; then raises those that the server's own history demands. */
export function mergeParameters(sources: ParameterSources): Record<string, string> {
  const merged: Record<string, string> = { ...defaults };
  for (const given of [sources.node, sources.cluster]) {
    for (const [name, value] of Object.entries(given)) merged[name.toLowerCase()] = value;
  }
  for (const name of limitParameters) {
    const demanded = sources.limits?.[name];
    if (demanded === undefined) continue;
    const configured = Number(merged[name] ?? Number.NaN);
    if (Number.isNaN(configured) ? demanded > builtIn[name] : demanded > configured) merged[name] = String(demanded);
  }
  return merged;
}

/** PostgreSQL's own defaults (15 to 18) of the parameters that a standby must not have lower than its primary. */
const builtIn: Readonly<Record<LimitParameter, number>> = {
  max_connections: 100,
  max_worker_processes: 8,
  max_wal_senders: 10,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 64,
};

/** Stands beside `primary_conninfo` in our include: a server that shows another connection string than the mark says was told by somebody else. */
export function receiverMark(conninfo: string): string {
  return conninfo === '' ? '' : createHash('sha256').update(conninfo).digest('hex').slice(0, 16);
}

const header =
  '# Written by Understudy, again and again: changes here are lost. Set parameters in the cluster configuration.\n';
const statePrefix = '# state: ';
/** Agents of earlier versions, which keep no notes of openings, write the include without it. */
export const notesMark = '# openings are noted';

/** The text of the generated include. */
export function renderInclude(
  replication: ReplicationSettings,
  parameters: Readonly<Record<string, string>>,
  more: {
    readonly synchronousCommit: string;
    /** How much later than it could a standby replays commits; 0: what the parameters say. */
    readonly delayMs: number;
    readonly tls: Readonly<Record<string, string>>;
    readonly generation: string;
  },
): string {
  const settings: Record<string, string> = {
    ...parameters,
    ...more.tls,
    ...(more.delayMs > 0 ? { recovery_min_apply_delay: `${more.delayMs}ms` } : {}),
    synchronous_commit: more.synchronousCommit,
    synchronous_standby_names: replication.standbyNames,
    primary_conninfo: replication.upstream?.conninfo ?? '',
    primary_slot_name: replication.upstream?.slot ?? '',
    'understudy.upstream': replication.upstream?.member ?? '',
    'understudy.receiver': receiverMark(replication.upstream?.conninfo ?? ''),
    'understudy.generation': more.generation,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoteSetting(value)}`);
  return `${header}${notesMark}\n${statePrefix}${JSON.stringify(replication)}\n${lines.join('\n')}\n`;
}

/** The JSON that `renderInclude` left for an agent that starts later; null when there is none. */
export function stateOfInclude(text: string): string | null {
  const line = text.split('\n').find((candidate) => candidate.startsWith(statePrefix));
  return line === undefined ? null : line.slice(statePrefix.length);
}
