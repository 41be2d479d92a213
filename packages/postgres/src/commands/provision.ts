import type { ClusterContext } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { quoteIdentifier, quoteLiteral, roles } from '../names.ts';
import { matchesVerifier, scramVerifier } from '../sql/scram.ts';
import type { PgSession } from '../sql/session.ts';
import { keepSlots } from './slots.ts';

const statementTimeoutMs = 10_000;
/** A checkpoint writes every dirty buffer; with much memory and a slow disk that takes minutes. */
const checkpointTimeoutMs = 3600_000;

/** What `pg_rewind` needs on its source (documentation of pg_rewind), and nothing else. */
const rewindFunctions = [
  'pg_catalog.pg_ls_dir(text, boolean, boolean)',
  'pg_catalog.pg_stat_file(text, boolean)',
  'pg_catalog.pg_read_binary_file(text)',
  'pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)',
];

/** Makes the roles and slots of a primary that has just opened, then the checkpoint that `pg_rewind` waits for (C33). */
export async function provision(instance: Instance, context: ClusterContext): Promise<void> {
  await instance.sql.fresh(
    statementTimeoutMs,
    async (session) => {
      // These commits are repeated by the next leader if they are lost, so they wait for no replica (there may be none yet).
      await session.rows("set synchronous_commit = local; set client_min_messages = 'error'", statementTimeoutMs);
      await session.rows('set statement_timeout = 0; set default_transaction_read_only = off', statementTimeoutMs);
      await keepSlots(instance, session, 'primary', context, statementTimeoutMs);
      await keepRoles(session, instance);
    },
    'ordinary',
  );
  await checkpoint(instance);
}

/** Writes all dirty pages, so that the control file and the next recovery begin at the present timeline. */
export async function checkpoint(instance: Instance): Promise<void> {
  await instance.sql.fresh(5000, (session) => session.rows('checkpoint', checkpointTimeoutMs), 'ordinary');
}

async function keepRoles(session: PgSession, instance: Instance): Promise<void> {
  const { secrets } = instance.options;
  await keepRole(session, roles.replication, 'login replication', secrets.replication);
  await keepRole(session, roles.rewind, 'login', secrets.rewind);
  await keepRole(session, roles.monitor, 'login', secrets.monitor);
  await keepRole(session, roles.superuser, 'login superuser', secrets.superuser);
  await keepMembership(session);
  await keepRewindGrants(session);
  // A limit set for the database or the role would end a long rewind in the middle.
  await keepRoleSetting(session, roles.rewind, 'statement_timeout', '0');
}

async function keepRole(session: PgSession, name: string, attributes: string, password: string): Promise<void> {
  const sql = `select rolpassword from pg_authid where rolname = ${quoteLiteral(name)}`;
  const rows = await session.rows(sql, statementTimeoutMs);
  const stored = rows[0]?.rolpassword ?? '';
  if (rows.length > 0 && (await matchesVerifier(password, stored))) return;
  const verb = rows.length > 0 ? 'alter' : 'create';
  const verifier = quoteLiteral(await scramVerifier(password));
  await session.rows(
    `${verb} role ${quoteIdentifier(name)} with ${attributes} password ${verifier}`,
    statementTimeoutMs,
  );
}

async function keepMembership(session: PgSession): Promise<void> {
  const row = await session.row(
    `select pg_has_role(${quoteLiteral(roles.monitor)}, 'pg_monitor', 'member') as member`,
    statementTimeoutMs,
  );
  if (row.member === 't') return;
  await session.rows(`grant pg_monitor to ${quoteIdentifier(roles.monitor)}`, statementTimeoutMs);
}

async function keepRewindGrants(session: PgSession): Promise<void> {
  for (const signature of rewindFunctions) {
    const may = `has_function_privilege(${quoteLiteral(roles.rewind)}, ${quoteLiteral(signature)}, 'execute') as may`;
    if ((await session.row(`select ${may}`, statementTimeoutMs)).may === 't') continue;
    const grant = `grant execute on function ${signature} to ${quoteIdentifier(roles.rewind)}`;
    await session.rows(grant, statementTimeoutMs);
  }
}

async function keepRoleSetting(session: PgSession, role: string, name: string, value: string): Promise<void> {
  const wanted = quoteLiteral(`${name}=${value}`);
  const row = await session.row(
    `select exists (select from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
       where r.rolname = ${quoteLiteral(role)} and s.setdatabase = 0 and ${wanted} = any (s.setconfig)) as there`,
    statementTimeoutMs,
  );
  if (row.there === 't') return;
  await session.rows(`alter role ${quoteIdentifier(role)} set ${name} = ${quoteLiteral(value)}`, statementTimeoutMs);
}
