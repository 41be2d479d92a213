import { hindrances, transportReason } from '../config/hindrances.ts';
import type { Instance } from '../instance.ts';
import { accounts } from '../names.ts';
import type { Flavour } from '../programs.ts';
import type { Session } from '../sql/session.ts';

const queryTimeoutMs = 2000;
const transport = 'require_secure_transport';
const named = 3;

type Parts = Pick<Instance, 'dialect' | 'programs' | 'options'>;
type Role = 'replica' | 'primary' | 'unknown';

/** Accounts that a new database of MariaDB has, for administrators on the host itself. */
const administrators = new Set(['root', 'mysql', 'mariadb.sys', accounts.admin]);

/**
 * What was changed on a running server so that a failover would differ, each as a sentence with the value and what to do. (What voids the promise itself:
 * `voids.ts`.)
 */
export async function standingWarnings(instance: Parts, session: Session, role: Role): Promise<readonly string[]> {
  const found = [
    role === 'replica' ? await runningEvents(session) : [],
    await hinderingSettings(instance, session),
    // A replica is fenced so that its agent can still begin a line there: so can everybody with the same right, whatever closes a leader.
    instance.dialect.admitPrivileged === null ? await privilegedAccounts(session) : [],
  ];
  return found.flat();
}

const emptiedText =
  'Those of MEMORY are emptied by every start of a server: there a change of a row that is gone stops its applier, and when that server leads, they are emptied on all members.';

/** Tables whose changes are not undone after a crash, and do not wait for acknowledgements as a whole. */
export async function foreignTables(session: Session): Promise<string | null> {
  const rows = await session.query(
    `SELECT table_schema AS place, table_name AS name, engine AS engine FROM information_schema.tables
    WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND engine <> 'InnoDB' AND table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
    ORDER BY 1, 2 LIMIT 100`,
    [],
    queryTimeoutMs,
  );
  if (rows.length === 0) return null;
  const some = rows.slice(0, named).map(({ place, name, engine }) => `${place}.${name} (${engine})`);
  const more = rows.length > named ? ` and ${rows.length - named} more` : '';
  const emptied = rows.some(({ engine }) => engine === 'MEMORY') ? ` ${emptiedText}` : '';
  return `Tables that are not InnoDB may lose acknowledged writes in a crash, and differ afterwards: ${some.join(', ')}${more}. Run ALTER TABLE … ENGINE = InnoDB.${emptied}`;
}

/** What keeps replicas from receiving, applying or being copied. `voids.ts` names what makes them hold other rows. */
async function hinderingSettings({ programs, options }: Parts, session: Session): Promise<readonly string[]> {
  const known = hindrances[programs.flavour];
  const list = [...Object.keys(known), transport].map((name) => `'${name}'`).join(', ');
  const rows = await session.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`, [], queryTimeoutMs);
  const seen = new Set<string>();
  return rows.flatMap(({ Variable_name, Value }) => {
    const [name, value] = [(Variable_name ?? '').toLowerCase(), Value ?? ''];
    const text = hinders(name, value, programs.flavour, options.tls);
    // Both products show some by two names.
    const plain = name.replace(/^slave_/, 'replica_').replace(/^tx_/, 'transaction_');
    if (text === null || seen.has(plain)) return [];
    seen.add(plain);
    return [text];
  });
}

/** A sentence about a value that a server shows; null when it is in nobody's way. */
export function hinders(name: string, value: string, flavour: Flavour, tls: object | null): string | null {
  const insecure = transportReason(name, value, tls);
  if (insecure !== null) return `${name} is ${value}: ${insecure}, or run SET GLOBAL ${name} = OFF.`;
  const found = hindrances[flavour][name];
  if (found === undefined || found.effect !== 'hinders' || !found.isBad.test(value)) return null;
  return `${name} is ${value}, but ${found.why}. Run SET GLOBAL ${name} = ${found.wanted}, or remove it and restart this member.`;
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
