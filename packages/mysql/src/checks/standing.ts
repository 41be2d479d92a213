import { settingsProfiles } from '../config/settings.ts';
import type { Instance } from '../instance.ts';
import { accounts } from '../names.ts';
import { readChannel } from '../observe/channel.ts';
import type { Session } from '../sql/session.ts';

const queryTimeoutMs = 2000;
const named = 3;

type Parts = Pick<Instance, 'dialect' | 'programs'>;
type Role = 'replica' | 'primary' | 'unknown';

/** What the agent never changes while the server runs, and a privileged session could. */
const watched = [
  'binlog_format',
  'binlog_row_image',
  'binlog_checksum',
  'sync_binlog',
  'innodb_flush_log_at_trx_commit',
  'replica_preserve_commit_order',
  'gtid_mode',
  'enforce_gtid_consistency',
  'gtid_strict_mode',
  'gtid_domain_id',
];

/** Accounts that a new database of MariaDB has, for administrators on the host itself. */
const administrators = new Set(['root', 'mysql', 'mariadb.sys', accounts.admin]);

/**
 * What was changed on a running server so that replication or a failover would lose or differ, each as a sentence with the value and what to do.
 * A few cheap queries. (Writes with `sql_log_bin = 0` leave no trace, so nobody can find them.)
 */
export async function standingWarnings(instance: Parts, session: Session, role: Role): Promise<readonly string[]> {
  const found = [
    await changedSettings(instance, session),
    await foreignTables(session),
    await filters(instance, session),
    role === 'replica' ? await runningEvents(session) : [],
    // A replica is fenced so that its agent can still begin a line there: so can everybody with the same right, whatever closes a leader.
    instance.dialect.admitPrivileged === null ? await privilegedAccounts(session) : [],
  ];
  return found.flat();
}

async function changedSettings({ programs }: Parts, session: Session): Promise<readonly string[]> {
  const fixed = new Map(settingsProfiles[programs.flavour].fixed.map(([name, value, why]) => [name, { value, why }]));
  const list = watched.map((name) => `'${name}'`).join(', ');
  const rows = await session.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`, [], queryTimeoutMs);
  return rows.flatMap(({ Variable_name: name, Value: value }) => {
    const wanted = fixed.get(name ?? '');
    if (wanted === undefined || wanted.value === value) return [];
    return `${name} was changed to ${value}, but ${wanted.why}. Run SET GLOBAL ${name} = ${wanted.value}, or restart this member.`;
  });
}

/** Tables whose changes are not undone after a crash, and do not wait for acknowledgements as a whole. */
async function foreignTables(session: Session): Promise<readonly string[]> {
  const rows = await session.query(
    `SELECT table_schema AS place, table_name AS name, engine AS engine FROM information_schema.tables
    WHERE table_type = 'BASE TABLE' AND engine <> 'InnoDB' AND table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
    ORDER BY 1, 2 LIMIT 100`,
    [],
    queryTimeoutMs,
  );
  if (rows.length === 0) return [];
  const some = rows.slice(0, named).map(({ place, name, engine }) => `${place}.${name} (${engine})`);
  const more = rows.length > named ? ` and ${rows.length - named} more` : '';
  return [
    `Tables that are not InnoDB may lose acknowledged writes in a crash, and differ afterwards: ${some.join(', ')}${more}. Run ALTER TABLE … ENGINE = InnoDB.`,
  ];
}

async function filters({ dialect }: Parts, session: Session): Promise<readonly string[]> {
  const channel = await readChannel(session, dialect, queryTimeoutMs);
  const [log] = await session.query(dialect.logStatus, [], queryTimeoutMs);
  const ofLog = ['Binlog_Do_DB', 'Binlog_Ignore_DB']
    .filter((name) => log?.[name])
    .map((name) => `${name}=${log?.[name]}`);
  const all = [...(channel?.filters ?? []), ...ofLog];
  if (all.length === 0) return [];
  return [
    `Replication filters are set (${all.join(', ')}): this member's data is not its leader's. Remove them and make a new copy (\`understudy reinit\`).`,
  ];
}

async function runningEvents(session: Session): Promise<readonly string[]> {
  const [row] = await session.query('SELECT @@global.event_scheduler AS events', [], queryTimeoutMs);
  if (row?.events !== 'ON') return [];
  return [
    'event_scheduler is ON on a replica: its events would write beside those of the leader. Run SET GLOBAL event_scheduler = OFF.',
  ];
}

/** Where read-only does not keep everybody out. */
async function privilegedAccounts(session: Session): Promise<readonly string[]> {
  const rows = await session.query(
    "SELECT DISTINCT grantee AS grantee FROM information_schema.user_privileges WHERE privilege_type = 'READ_ONLY ADMIN' LIMIT 100",
    [],
    queryTimeoutMs,
  );
  const others = rows.map(({ grantee }) => grantee ?? '').filter((grantee) => !isAdministrator(grantee));
  if (others.length === 0) return [];
  const some = others.slice(0, named).join(', ') + (others.length > named ? ` and ${others.length - named} more` : '');
  return [
    `Accounts that can write on a replica: ${some}. Run REVOKE READ ONLY ADMIN ON *.* for each (GRANT ALL ON *.* holds it too).`,
  ];
}

/** @param grantee `'root'@'localhost'`. */
function isAdministrator(grantee: string): boolean {
  const [, user = '', host = ''] = /^'(.*)'@'(.*)'$/.exec(grantee) ?? [];
  return administrators.has(user) && ['localhost', '127.0.0.1', '::1'].includes(host);
}
