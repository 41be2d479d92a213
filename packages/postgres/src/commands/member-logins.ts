import { monotonicMs } from '@understudy/base';
import type { Member, MemberId, MemberLogin } from '@understudy/core';
import { type ClusterContext, type LoginsSeen, loginKey } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { loginOfRole, memberRole, membersRole, quoteIdentifier, quoteLiteral } from '../names.ts';
import type { PgSession, Row } from '../sql/session.ts';

/** So long a member must have left a login out before its role goes: a store that was put back may say for a moment what was once true. */
const droppedAfterMs = 3000;

const rolesQuery = `select r.rolname, r.rolpassword as stored,
  r.rolcanlogin and r.rolreplication and r.rolconnlimit = -1 and coalesce(r.rolvaliduntil, 'infinity') = 'infinity'
    and not r.rolsuper and not r.rolcreaterole and not r.rolcreatedb and not r.rolbypassrls
    and pg_has_role(r.oid, m.oid, 'member') as whole
  from pg_authid r, pg_authid m where m.rolname = ${quoteLiteral(membersRole)} and r.rolname like 'understudy\\_repl\\_%'`;

/** By the role in which a login is: since when its member has not registered it any more. */
const leftOut = new WeakMap<Instance, Map<string, number>>();

/**
 * Keeps on a primary two roles for each member that has logins of its own, with what the member has registered of their passwords, and
 * takes away those that it does not use any more, with the streams that have logged in so. Members that are not registered keep theirs: the
 * store may have been emptied.
 */
export async function keepMemberLogins(
  session: Pick<PgSession, 'rows'>,
  instance: Instance,
  { members }: Pick<ClusterContext, 'members'>,
  timeoutMs: number,
): Promise<void> {
  const owners = [...members.values()].filter(({ logins }) => logins !== undefined);
  if (owners.length === 0) return;
  await keepGroup(session, timeoutMs);
  const present = await presentRoles(session, timeoutMs);
  // A role that cannot be set right keeps nobody else from getting his.
  const failed: unknown[] = [];
  for (const member of owners) {
    try {
      for (const login of member.logins?.own ?? []) {
        await keepRole(session, memberRole(member.id, login.slot), login, present, timeoutMs);
      }
      for (const role of surplusOf(instance, member, present)) await dropRole(session, role, timeoutMs);
    } catch (error) {
      failed.push(error);
    }
  }
  if (failed.length > 0) throw failed[0];
}

async function keepGroup(session: Pick<PgSession, 'rows'>, timeoutMs: number): Promise<void> {
  const rows = await session.rows(`select 1 from pg_roles where rolname = ${quoteLiteral(membersRole)}`, timeoutMs);
  if (rows.length === 0) await session.rows(`create role ${membersRole} nologin`, timeoutMs);
}

async function presentRoles(session: Pick<PgSession, 'rows'>, timeoutMs: number): Promise<ReadonlyMap<string, Row>> {
  return new Map((await session.rows(rolesQuery, timeoutMs)).map((row) => [row.rolname ?? '', row]));
}

/** Statements have the verifier, never the password: this server does not know it. */
async function keepRole(
  session: Pick<PgSession, 'rows'>,
  role: string,
  { verifier }: MemberLogin,
  present: ReadonlyMap<string, Row>,
  timeoutMs: number,
): Promise<void> {
  const row = present.get(role);
  if (row?.stored === verifier && row.whole === 't') return;
  const name = quoteIdentifier(role);
  const attributes = 'login replication nosuperuser nocreaterole nocreatedb nobypassrls connection limit -1';
  const with_ = `${attributes} valid until 'infinity' password ${quoteLiteral(verifier)}`;
  if (row === undefined) {
    await session.rows(`create role ${name} with ${with_} in role ${membersRole}`, timeoutMs);
    return;
  }
  await session.rows(`alter role ${name} with ${with_}`, timeoutMs);
  await session.rows(`grant ${membersRole} to ${name}`, timeoutMs);
  // Whoever logged in with what was there before.
  if (row.stored !== verifier) await endSessions(session, role, timeoutMs);
}

function surplusOf(instance: Instance, { id, logins }: Member, present: ReadonlyMap<string, Row>): readonly string[] {
  const since = leftOut.get(instance) ?? new Map<string, number>();
  leftOut.set(instance, since);
  const nowMs = monotonicMs();
  return (['a', 'b'] as const).flatMap((slot) => {
    const role = memberRole(id, slot);
    if (!present.has(role) || logins?.own.some((login) => login.slot === slot) === true) {
      since.delete(role);
      return [];
    }
    const sinceMs = since.get(role) ?? nowMs;
    since.set(role, sinceMs);
    return nowMs - sinceMs >= droppedAfterMs ? [role] : [];
  });
}

async function dropRole(session: Pick<PgSession, 'rows'>, role: string, timeoutMs: number): Promise<void> {
  // Without a password before its sessions end, so that none begins in between.
  await session.rows(`alter role ${quoteIdentifier(role)} with nologin password null`, timeoutMs);
  await endSessions(session, role, timeoutMs);
  await session.rows(`drop role ${quoteIdentifier(role)}`, timeoutMs);
}

/** Ends everything that has logged in as `role`. */
export async function endSessions(session: Pick<PgSession, 'rows'>, role: string, timeoutMs: number): Promise<void> {
  const query = `select pg_terminate_backend(pid) from pg_stat_activity where usename = ${quoteLiteral(role)}`;
  await session.rows(query, timeoutMs);
}

const receiverQuery = `select substring(conninfo from '(?:^| )user=(\\S+)') as user from pg_stat_wal_receiver where status = 'streaming'`;

/**
 * What this server takes of what members have registered, and with what it streams itself.
 *
 * @param access whether it lets such logins in by its access rules
 */
export async function lookAtLogins(
  session: PgSession,
  { self, members }: Pick<ClusterContext, 'self' | 'members'>,
  access: 'in-force' | 'not-in-force',
  timeoutMs: number,
): Promise<LoginsSeen> {
  const present = access === 'in-force' ? await presentRoles(session, timeoutMs) : new Map<string, Row>();
  const isTaken = (member: MemberId, { slot, verifier }: MemberLogin): boolean => {
    const row = present.get(memberRole(member, slot));
    return row?.whole === 't' && row.stored === verifier;
  };
  const accepted = [...members.values()].flatMap(({ id, logins }) =>
    (logins?.own ?? []).filter((login) => isTaken(id, login)).map((login) => loginKey(id, login.id)),
  );
  const [row] = await session.rows(receiverQuery, timeoutMs);
  return { accepted, streamsAs: row === undefined ? null : loginOfRole(self, row.user ?? '') };
}
