import type { VariableCatalog } from '../config/catalog.ts';
import { acknowledgersIn } from '../names.ts';
import { isNewer } from '../programs.ts';

/** The names of the columns of the status of a replica's channel. */
export interface ChannelColumns {
  readonly host: string;
  readonly port: string;
  readonly user: string;
  readonly io: string;
  readonly sql: string;
  readonly readPos: string;
  readonly sqlState: string;
}

/** The names of the semi-synchronous replication's variables and figures. */
export interface SemiSyncNames {
  readonly sourceEnabled: string;
  /** How many replicas must acknowledge; null where it is always one. */
  readonly required: string | null;
  readonly replicaEnabled: string;
  readonly waitPoint: string;
  readonly timeout: string;
  readonly waitNoReplica: string;
  /** How long a receiver that ends waits for its source, to log out there; null where it does not. Seconds, at least 1 (0 is for ever). */
  readonly endTimeout: string | null;
  /** Prefix of the figures about the leader's side: `…status`, `…clients`, `…wait_sessions`, `…yes_tx`. */
  readonly figures: string;
}

/** How one server is spoken to: every difference between products and versions that this package knows. */
export interface Dialect {
  /** `sets`: every transaction has a number of the server that wrote it; `domains`: one sequence of numbers for all. */
  readonly gtids: 'sets' | 'domains';
  /** The most acknowledgements that a commit can wait for; null: any number. */
  readonly requiredAcksMax: number | null;
  /** The word for a replica in statements. */
  readonly replica: 'REPLICA' | 'SLAVE';
  readonly channelStatus: string;
  readonly columns: ChannelColumns;
  readonly semiSync: SemiSyncNames;
  /** `start`: the receiver is given its login each time it starts; `change`: it is part of the channel's configuration. */
  readonly credentials: 'start' | 'change';
  /** `CHANGE … TO`, and the prefix of its options. */
  readonly change: { readonly statement: string; readonly prefix: 'SOURCE' | 'MASTER' };
  /** Closes the server for everybody, or for all but the privileged. */
  readonly close: { readonly statement: string; readonly stops: 'everybody' | 'unprivileged' };
  /** Opens a server for privileged sessions only; null where read-only never keeps them out. */
  readonly admitPrivileged: string | null;
  /** Reads how far the newest file of the log has come. */
  readonly logStatus: string;
  /** Accounts of acknowledgers that are locked, as `user`. */
  readonly lockedAccounts: string;
  /** Lists, as `id`, the threads that receive or try to connect, and none of those that apply. */
  readonly receiverThreads: string;
  /** Counts heartbeats; null: they are in the channel's status. */
  readonly heartbeats: string | null;
  /** The errors of the workers that apply, as `number` and `text`; null: the channel's status has them. */
  readonly workerErrors: string | null;
  /** The variable that says how many threads apply. */
  readonly workers: string;
  /**
   * Lists, as `id`, the sessions whose commits wait for an acknowledgement, where those keep the log from taking more than one group of
   * commits behind them; null where they do not.
   */
  readonly blockingCommits: string | null;
  /** Lists prepared XA transactions. */
  readonly preparedXa: string;
  /** Options of our own accounts, which no policy about the age or the reuse of passwords may lock out. */
  readonly unagedPassword: string;
  /** Before a value as a server stores it of a password (`verifierOf`), in statements about accounts. */
  readonly stored: string;
  readonly reloadCertificates: string;
  /** Rights that a copy is made with. */
  readonly cloneRights: string;
  /** What all of our accounts have besides: where there is such a right, that whoever may only make accounts cannot change them. */
  readonly ownRights: readonly string[];
  /**
   * The right of those whom neither a server's limits of connections nor what it runs at each login (`init_connect`) keep out, and whether
   * the accounts of replication have it. On MariaDB it would let them set `init_connect` for others, and end commits that wait.
   */
  readonly admittedRight: { readonly name: string; readonly of: 'replication' | 'nobody' };
}

/**
 * Whether a server whose `read_only` has this value lets clients write. From 12.0.1 on MariaDB has `NO_LOCK` and `NO_LOCK_NO_ADMIN` beside
 * `ON`: anything but off is fenced, also what a later version may bring.
 */
export const isOpen = (readOnly: string): boolean => ['0', 'OFF'].includes(readOnly.toUpperCase());

const mysqlSemiSync: SemiSyncNames = {
  sourceEnabled: 'rpl_semi_sync_source_enabled',
  required: 'rpl_semi_sync_source_wait_for_replica_count',
  replicaEnabled: 'rpl_semi_sync_replica_enabled',
  waitPoint: 'rpl_semi_sync_source_wait_point',
  timeout: 'rpl_semi_sync_source_timeout',
  waitNoReplica: 'rpl_semi_sync_source_wait_no_replica',
  endTimeout: null,
  figures: 'Rpl_semi_sync_source_',
};

/** The names before MySQL 8.0.26. */
const oldMysqlSemiSync: SemiSyncNames = {
  sourceEnabled: 'rpl_semi_sync_master_enabled',
  required: 'rpl_semi_sync_master_wait_for_slave_count',
  replicaEnabled: 'rpl_semi_sync_slave_enabled',
  waitPoint: 'rpl_semi_sync_master_wait_point',
  timeout: 'rpl_semi_sync_master_timeout',
  waitNoReplica: 'rpl_semi_sync_master_wait_no_slave',
  endTimeout: null,
  figures: 'Rpl_semi_sync_master_',
};

const newColumns: ChannelColumns = {
  host: 'Source_Host',
  port: 'Source_Port',
  user: 'Source_User',
  io: 'Replica_IO_Running',
  sql: 'Replica_SQL_Running',
  readPos: 'Read_Source_Log_Pos',
  sqlState: 'Replica_SQL_Running_State',
};

const oldColumns: ChannelColumns = {
  host: 'Master_Host',
  port: 'Master_Port',
  user: 'Master_User',
  io: 'Slave_IO_Running',
  sql: 'Slave_SQL_Running',
  readPos: 'Read_Master_Log_Pos',
  sqlState: 'Slave_SQL_Running_State',
};

const systemThreads = "SELECT id AS id FROM information_schema.processlist WHERE user = 'system user'";

const mysql: Dialect = {
  gtids: 'sets',
  requiredAcksMax: null,
  replica: 'REPLICA',
  channelStatus: 'SHOW REPLICA STATUS',
  columns: newColumns,
  semiSync: mysqlSemiSync,
  credentials: 'start',
  change: { statement: 'CHANGE REPLICATION SOURCE TO', prefix: 'SOURCE' },
  close: { statement: 'SET GLOBAL super_read_only = ON', stops: 'everybody' },
  admitPrivileged: 'SET GLOBAL super_read_only = OFF',
  logStatus: 'SHOW BINARY LOG STATUS',
  lockedAccounts: `SELECT User AS user FROM mysql.user WHERE ${acknowledgersIn('User')} AND account_locked = 'Y'`,
  receiverThreads: `${systemThreads} AND host = 'connecting host'`,
  heartbeats:
    'SELECT COUNT_RECEIVED_HEARTBEATS AS heartbeats, LAST_HEARTBEAT_TIMESTAMP AS newest FROM performance_schema.replication_connection_status',
  workerErrors:
    'SELECT LAST_ERROR_NUMBER AS number, LAST_ERROR_MESSAGE AS text FROM performance_schema.replication_applier_status_by_worker WHERE LAST_ERROR_NUMBER <> 0',
  workers: 'replica_parallel_workers',
  blockingCommits: null,
  preparedXa: 'XA RECOVER CONVERT XID',
  // A limit of its own takes the place of the server's `max_user_connections`; MySQL's counts even those who may pass the other limits.
  unagedPassword:
    'WITH MAX_USER_CONNECTIONS 1000 PASSWORD EXPIRE NEVER PASSWORD HISTORY 0 PASSWORD REUSE INTERVAL 0 DAY',
  stored: 'IDENTIFIED WITH caching_sha2_password AS',
  reloadCertificates: 'ALTER INSTANCE RELOAD TLS',
  cloneRights: 'BACKUP_ADMIN, SELECT, PROCESS',
  ownRights: ['SYSTEM_USER'],
  admittedRight: { name: 'CONNECTION_ADMIN', of: 'replication' },
};

/** Before 8.0.26: the words of old, but for those that 8.0.22 changed already. */
const oldMysql: Dialect = {
  ...mysql,
  replica: 'SLAVE',
  channelStatus: 'SHOW SLAVE STATUS',
  columns: oldColumns,
  semiSync: oldMysqlSemiSync,
  workers: 'slave_parallel_workers',
  change: { statement: 'CHANGE MASTER TO', prefix: 'MASTER' },
  logStatus: 'SHOW MASTER STATUS',
};

const mariadb: Dialect = {
  gtids: 'domains',
  requiredAcksMax: 1,
  replica: 'SLAVE',
  channelStatus: 'SHOW ALL SLAVES STATUS',
  columns: oldColumns,
  semiSync: { ...oldMysqlSemiSync, required: null, endTimeout: 'rpl_semi_sync_slave_kill_conn_timeout' },
  credentials: 'change',
  change: { statement: 'CHANGE MASTER TO', prefix: 'MASTER' },
  close: { statement: 'SET GLOBAL read_only = ON', stops: 'unprivileged' },
  admitPrivileged: null,
  logStatus: 'SHOW MASTER STATUS',
  lockedAccounts: `SELECT User AS user FROM mysql.global_priv WHERE ${acknowledgersIn('User')} AND JSON_VALUE(Priv, '$.account_locked') = 1`,
  receiverThreads: `${systemThreads} AND command IN ('Slave_IO', 'Connect')`,
  heartbeats: null,
  workerErrors: null,
  workers: 'slave_parallel_threads',
  blockingCommits:
    "SELECT id AS id FROM information_schema.processlist WHERE state LIKE 'Waiting for semi-sync ACK from %'",
  preparedXa: "XA RECOVER FORMAT = 'SQL'",
  unagedPassword: 'WITH MAX_USER_CONNECTIONS 1000 PASSWORD EXPIRE NEVER',
  stored: 'IDENTIFIED VIA mysql_native_password USING',
  reloadCertificates: 'FLUSH SSL',
  cloneRights: 'SELECT, RELOAD, PROCESS, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER, BINLOG MONITOR, REPLICA MONITOR',
  ownRights: [],
  admittedRight: { name: 'CONNECTION ADMIN', of: 'nobody' },
};

/**
 * Chooses the dialect of a server by what it can do, as its program says, before it runs.
 *
 * @param catalog the variables that it knows. @param version `9.7.4`.
 */
export function dialectOf(catalog: VariableCatalog, version: string): Dialect {
  if (catalog.has('gtid_domain_id')) {
    // From 12.0.1 on read_only has degrees (MDEV-36425).
    if (isNewer('12.0.1', version)) return mariadb;
    return { ...mariadb, close: { statement: "SET GLOBAL read_only = 'NO_LOCK_NO_ADMIN'", stops: 'everybody' } };
  }
  if (!catalog.has('replica_net_timeout')) return oldMysql;
  return isNewer('8.2.0', version) ? { ...mysql, logStatus: 'SHOW MASTER STATUS' } : mysql;
}
