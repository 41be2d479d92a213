import type { ClusterContext } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { quoteIdentifier, quoteLiteral, roles } from '../names.ts';
import { sharesLogin } from '../observe/senders.ts';
import { matchesVerifier, scramVerifier } from '../sql/scram.ts';
import type { PgSession, Row } from '../sql/session.ts';
import { endSessions } from './member-logins.ts';

const statementTimeoutMs = 10_000;

interface Wanted {
  readonly name: string;
  readonly attributes: readonly ('login' | 'superuser' | 'replication')[];
  /** Of a role that nobody needs any more: whoever has its password gets in nowhere. */
  readonly closed?: 'yes';
  /** Null: none, so that only the private socket lets it in. */
  readonly password: string | null;
}

function wantedRoles({ options: { secrets } }: Instance, { members }: Members): readonly Wanted[] {
  const shared = { name: roles.replication, password: secrets.replication };
  const isShared = members.size === 0 || [...members.values()].some(sharesLogin);
  return [
    isShared
      ? { ...shared, attributes: ['login', 'replication'] }
      : { ...shared, attributes: ['replication'], closed: 'yes' },
    { name: roles.rewind, attributes: ['login'], password: secrets.rewind },
    { name: roles.monitor, attributes: ['login'], password: secrets.monitor },
    { name: roles.agent, attributes: ['login', 'superuser', 'replication'], password: null },
  ];
}

/** Passwords as stored, and whether they are the right ones: to check one takes thousands of rounds. */
const checked = new WeakMap<Instance, Map<string, { readonly stored: string; readonly matches: boolean }>>();

const rolesQuery = `select rolname, rolcanlogin as login, rolsuper as superuser, rolreplication as replication,
  rolconnlimit, rolvaliduntil is not null and rolvaliduntil <> 'infinity' as expires, rolpassword
  from pg_authid where rolname in (${Object.values(roles).map(quoteLiteral).join(', ')})`;

export interface RolesKept {
  /** What was set right, as sentences. */
  readonly repairs: readonly string[];
  /** What is left as it is. */
  readonly warnings: readonly string[];
}

/** Makes the roles that the members of the cluster log in with, and sets right what somebody changed of them. */
export async function keepRoles(session: PgSession, instance: Instance, context: Members): Promise<RolesKept> {
  const present = new Map((await session.rows(rolesQuery, statementTimeoutMs)).map((row) => [row.rolname, row]));
  const repairs: string[] = [];
  for (const role of wantedRoles(instance, context)) {
    const row = present.get(role.name);
    if (role.closed === 'yes' && row?.login === 't') await closeRole(session, role.name);
    const wrong = row === undefined ? null : await whatIsWrong(instance, role, row);
    if (row !== undefined && wrong === null) continue;
    // That a role is opened again for a member of an older version is nobody's doing.
    const isReopened = role.name === roles.replication && wrong === 'had lost LOGIN';
    await writeRole(session, role, row === undefined ? 'create' : 'alter');
    if (wrong !== null && !isReopened)
      repairs.push(`The role ${role.name} belongs to Understudy and ${wrong}: that was set right.`);
  }
  const warnings = await keepSuperuser(session, instance, present.get(roles.superuser));
  await keepMembership(session);
  return { repairs, warnings };
}

type Members = Pick<ClusterContext, 'members'>;

async function closeRole(session: PgSession, name: string): Promise<void> {
  await session.rows(`alter role ${quoteIdentifier(name)} with nologin`, statementTimeoutMs);
  await endSessions(session, name, statementTimeoutMs);
}

async function whatIsWrong(
  instance: Instance,
  { name, attributes, password }: Wanted,
  row: Row,
): Promise<string | null> {
  const lacking = attributes.find((attribute) => row[attribute] !== 't');
  if (lacking !== undefined) return `had lost ${lacking.toUpperCase()}`;
  if (row.rolconnlimit !== '-1') return `had a connection limit of ${row.rolconnlimit}`;
  if (row.expires === 't') return 'had a date after which its password does not count';
  return (await hasPassword(instance, name, password, row)) ? null : 'had another password';
}

async function hasPassword(instance: Instance, name: string, password: string | null, row: Row): Promise<boolean> {
  const stored = row.rolpassword ?? '';
  if (password === null || stored === '') return password === null && stored === '';
  const known = checked.get(instance) ?? new Map<string, { readonly stored: string; readonly matches: boolean }>();
  checked.set(instance, known);
  const before = known.get(name);
  if (before?.stored === stored) return before.matches;
  const matches = await matchesVerifier(password, stored);
  known.set(name, { stored, matches });
  return matches;
}

async function writeRole(session: PgSession, { name, attributes, password, closed }: Wanted, verb: 'create' | 'alter') {
  const verifier = password === null ? 'null' : quoteLiteral(await scramVerifier(password));
  const words = closed === 'yes' ? ['nologin', ...attributes] : attributes;
  const with_ = `${words.join(' ')} connection limit -1 valid until 'infinity' password ${verifier}`;
  await session.rows(`${verb} role ${quoteIdentifier(name)} with ${with_}`, statementTimeoutMs);
}

/** The operator's own role: made when it is missing. Its password and whether it may log in are the operator's to say. */
async function keepSuperuser(session: PgSession, instance: Instance, row: Row | undefined): Promise<readonly string[]> {
  const password = instance.options.secrets.superuser;
  const role = { name: roles.superuser, attributes: ['login', 'superuser'] as const, password };
  if (row === undefined) {
    await writeRole(session, role, 'create');
    return [];
  }
  if (row.login !== 't' || (await hasPassword(instance, role.name, password, row))) return [];
  return [
    `The password of ${role.name} is not the one in the secrets files (superuser), with which \`understudy sql\` logs in. Understudy leaves it as it is: write the new one into the secrets file of every member, or set the old one again.`,
  ];
}

async function keepMembership(session: PgSession): Promise<void> {
  const row = await session.row(
    `select pg_has_role(${quoteLiteral(roles.monitor)}, 'pg_monitor', 'member') as member`,
    statementTimeoutMs,
  );
  if (row.member === 't') return;
  await session.rows(`grant pg_monitor to ${quoteIdentifier(roles.monitor)}`, statementTimeoutMs);
}

/** What `pg_rewind` needs on its source (documentation of pg_rewind), and nothing else. */
const rewindFunctions = [
  'pg_catalog.pg_ls_dir(text, boolean, boolean)',
  'pg_catalog.pg_stat_file(text, boolean)',
  'pg_catalog.pg_read_binary_file(text)',
  'pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)',
  // These everybody may call, unless somebody took that away.
  'pg_catalog.pg_control_checkpoint()',
  'pg_catalog.pg_current_wal_insert_lsn()',
  'pg_catalog.pg_is_in_recovery()',
  'pg_catalog.set_config(text, text, boolean)',
];

/** Functions belong to a database: a rewind may go through any of those in which this was done. */
export async function keepRewindGrants(session: PgSession, instance: Instance): Promise<void> {
  const role = quoteLiteral(roles.rewind);
  const grantee = quoteIdentifier(roles.rewind);
  const wanted = [
    { may: "has_database_privilege($, current_database(), 'connect')", on: 'connect on database' },
    ...rewindFunctions.map((signature) => ({
      may: `has_function_privilege($, ${quoteLiteral(signature)}, 'execute')`,
      on: `execute on function ${signature}`,
    })),
    ...(instance.expected.major >= 17
      ? [{ may: "has_parameter_privilege($, 'event_triggers', 'set')", on: 'set on parameter event_triggers' }]
      : []),
  ];
  const checks = wanted.map(({ may }, index) => `${may.replace('$', role)} as "${index}"`);
  const row = await session.row(`select current_database() as db, ${checks.join(', ')}`, statementTimeoutMs);
  for (const [index, { on }] of wanted.entries()) {
    if (row[String(index)] === 't') continue;
    const what = on.endsWith('database') ? `${on} ${quoteIdentifier(row.db ?? '')}` : on;
    await session.rows(`grant ${what} to ${grantee}`, statementTimeoutMs);
  }
}
