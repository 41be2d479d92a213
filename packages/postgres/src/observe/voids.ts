import type { PromiseVoid } from '@understudy/core';
import { commitRank, isOn, voidingParameters } from '../config/voiding.ts';
import { quoteLiteral } from '../names.ts';
import type { PgSession } from '../sql/session.ts';

const watched = ['synchronous_commit', 'default_transaction_read_only', ...voidingParameters.keys()];

/** What a new session of an ordinary role and database starts with, and where that comes from. */
const settingsQuery = `select name, coalesce(reset_val, setting) as value, source, sourcefile, sourceline from pg_settings
  where name in (${watched.map(quoteLiteral).join(', ')})`;

/** What single roles or databases start with, and no setting of the server can forbid (P2). A setting of a function ends with the function, before any commit. */
const roleSettingsQuery = `select coalesce(d.datname, 'every database') as db, coalesce(r.rolname, 'every role') as role,
  split_part(c, '=', 1) as name, substr(c, strpos(c, '=') + 1) as value
  from pg_db_role_setting s cross join unnest(s.setconfig) c
  left join pg_database d on d.oid = s.setdatabase left join pg_roles r on r.oid = s.setrole
  where split_part(c, '=', 1) in (${watched.map(quoteLiteral).join(', ')})`;

export interface Findings {
  readonly voids: readonly PromiseVoid[];
  /** What does not void the promise, but is probably not wanted. */
  readonly warnings: readonly string[];
}

/** Reads from the server what of its settings, roles and databases voids the promise. `session` must be new: an old one may not have reloaded. */
export async function lookForVoids(session: PgSession, wanted: string, timeoutMs: number): Promise<Findings> {
  const voids: PromiseVoid[] = [];
  const warnings: string[] = [];
  const note = (name: string, value: string, where: string, undo: string): void => {
    if (name === 'synchronous_commit') {
      const rank = commitRank(value);
      if (rank >= Math.min(commitRank(wanted), commitRank('on'))) return;
      const text = `synchronous_commit=${value} is set ${where}: commits there can be lost in a failover. Reset it if that is not wanted (${undo}).`;
      voids.push({ effect: rank < commitRank('remote_write') ? 'loss' : 'assumed', text });
    } else if (name === 'default_transaction_read_only') {
      if (isOn(value))
        warnings.push(
          `${name} is on ${where}: applications cannot write there. Understudy leaves that as it is (${undo}).`,
        );
    } else {
      const parameter = voidingParameters.get(name);
      if (parameter === undefined || isOn(value) === (parameter.safe === 'on')) return;
      voids.push({ effect: 'assumed', text: `${name}=${value} is set ${where}: ${parameter.why} Reset it (${undo}).` });
    }
  };
  for (const row of await session.rows(settingsQuery, timeoutMs)) {
    const name = row.name ?? '';
    const isAuto = row.sourcefile?.endsWith('/postgresql.auto.conf') === true;
    const where = row.sourcefile ? `in ${row.sourcefile}:${row.sourceline}` : `for the server (${row.source})`;
    note(name, row.value ?? '', where, isAuto ? `ALTER SYSTEM RESET ${name}` : 'remove it there');
  }
  for (const { db, role, name, value } of await session.rows(roleSettingsQuery, timeoutMs)) {
    note(name ?? '', value ?? '', `for ${role} in ${db}`, 'ALTER ROLE or ALTER DATABASE … RESET');
  }
  return { voids, warnings };
}

/** An unlogged relation has an `init` fork in each of its databases' folders: seen without connecting to every database. */
const unloggedQuery = `select d.datname as db from pg_database d
  where exists (select from pg_ls_dir('base/' || d.oid, true, false) f where f like '%\\_init') order by 1`;

/** What an operator should know of tables that no replica has. */
export async function unloggedWarnings(session: PgSession, timeoutMs: number): Promise<readonly string[]> {
  const rows = await session.rows(unloggedQuery, timeoutMs);
  if (rows.length === 0) return [];
  const list = rows.map((row) => row.db).join(', ');
  return [
    `There are UNLOGGED tables in ${list}: no replica has their rows, so they are empty after a failover, a switchover or a crash (ALTER TABLE … SET LOGGED).`,
  ];
}
