/** Everything that one node of the Patroni cluster is told. Passwords are in it: the file is its user's alone. */
export interface PatroniNodeFacts {
  readonly name: string;
  readonly address: string;
  readonly storeUrl: { readonly host: string; readonly port: number };
  readonly dataDir: string;
  readonly socketFolder: string;
  readonly passFile: string;
  /** Folder with every program of PostgreSQL that Patroni calls. */
  readonly binDir: string;
  readonly passwords: { readonly superuser: string; readonly replication: string };
}

export const ports = { api: 8008, postgres: 5432 } as const;

/**
 * Patroni at its tightest: the least that its documentation allows (`ttl` 20, `loop_wait` 1, `retry_timeout` 3, in seconds), and a
 * primary that crashed is replaced, not started again (`primary_start_timeout` 0).
 */
export const tightest = {
  ttl: 20,
  loop_wait: 1,
  retry_timeout: 3,
  primary_start_timeout: 0,
  synchronous_mode: true,
} as const;

/** What Understudy sets unless its user says otherwise, as far as it touches an outage: both run the server alike. */
const parameters = {
  shared_buffers: '64MB',
  wal_log_hints: 'on',
  max_wal_senders: 16,
  max_replication_slots: 16,
  wal_keep_size: '64MB',
  wal_sender_timeout: '5s',
  wal_receiver_timeout: '1200ms',
  wal_receiver_status_interval: '1s',
  wal_retrieve_retry_interval: '100ms',
} as const;

export const superuser = 'postgres';

/** The configuration file of a node; JSON is YAML. */
export function patroniConfig(facts: PatroniNodeFacts): string {
  const { name, address, storeUrl, passwords } = facts;
  const rest = `${address}:${ports.api}`;
  const server = `${address}:${ports.postgres}`;
  return JSON.stringify({
    scope: 'bench',
    namespace: '/patroni/',
    name,
    restapi: { listen: rest, connect_address: rest },
    etcd3: { host: `${storeUrl.host}:${storeUrl.port}`, protocol: 'http' },
    watchdog: { mode: 'off' },
    bootstrap: {
      dcs: {
        ...tightest,
        maximum_lag_on_failover: 1_048_576,
        postgresql: { use_pg_rewind: true, use_slots: true, parameters },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums'],
    },
    postgresql: {
      listen: server,
      connect_address: server,
      data_dir: facts.dataDir,
      bin_dir: facts.binDir,
      pgpass: facts.passFile,
      use_unix_socket: true,
      parameters: { unix_socket_directories: facts.socketFolder },
      // A member that cannot be rewound is copied anew, as Understudy's are.
      remove_data_directory_on_rewind_failure: true,
      authentication: {
        superuser: { username: superuser, password: passwords.superuser },
        replication: { username: 'replicator', password: passwords.replication },
      },
      pg_hba: [
        'local all all scram-sha-256',
        'host replication replicator samenet scram-sha-256',
        'host all all samenet scram-sha-256',
      ],
    },
  });
}
