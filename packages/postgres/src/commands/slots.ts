import { formatLsn, type MemberId } from '@understudy/core';
import type { ClusterContext } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { quoteLiteral, slotName } from '../names.ts';
import type { PgSession, Row } from '../sql/session.ts';

const slotsQuery = `select slot_name, active, wal_status, restart_lsn,
  pg_wal_lsn_diff(case when pg_is_in_recovery() then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    else pg_current_wal_lsn() end, restart_lsn)::bigint as retained
  from pg_replication_slots where slot_type = 'physical'`;

/** Slot names of the other members: each node keeps log for all of them, since any may become the leader. */
export function wantedSlots(context: ClusterContext): ReadonlyMap<string, MemberId> {
  const others = [...context.members.keys()].filter((member) => member !== context.self);
  return new Map(others.map((member) => [slotName(member), member]));
}

/** Makes the slots that are missing; those that are there stay as they are. */
export async function ensureSlots(session: PgSession, context: ClusterContext, timeoutMs: number): Promise<void> {
  const present = new Set((await session.rows(slotsQuery, timeoutMs)).map((row) => row.slot_name));
  for (const name of wantedSlots(context).keys()) {
    if (!present.has(name)) await createSlot(session, name, timeoutMs);
  }
}

async function createSlot(session: PgSession, name: string, timeoutMs: number): Promise<void> {
  await session.rows(`select pg_create_physical_replication_slot(${quoteLiteral(name)}, true)`, timeoutMs);
}

async function dropSlot(session: PgSession, name: string, timeoutMs: number): Promise<void> {
  await session.rows(`select pg_drop_replication_slot(${quoteLiteral(name)})`, timeoutMs);
}

/**
 * Keeps the slots of the members in order: makes missing ones, makes lost ones anew, drops those of members that are gone, and
 * on a node that does not lead moves them on to what the member is known to have, so that they hold no log for nothing. A slot of
 * somebody else's is never touched, whatever its name begins with: those count as members' whose member this agent has seen.
 *
 * @returns log kept back by each slot, in bytes.
 */
export async function keepSlots(
  { memberSlots }: Pick<Instance, 'memberSlots'>,
  session: PgSession,
  role: 'primary' | 'replica',
  context: ClusterContext,
  timeoutMs: number,
): Promise<Readonly<Record<string, number>>> {
  const wanted = wantedSlots(context);
  for (const name of wanted.keys()) memberSlots.add(name);
  const rows = await session.rows(slotsQuery, timeoutMs);
  const present = new Map(rows.map((row) => [row.slot_name ?? '', row]));
  for (const [name, row] of present) {
    if (row.active === 't' || !memberSlots.has(name)) continue;
    const gone = !wanted.has(name) && context.members.size > 1;
    const lost = row.wal_status === 'lost' || row.restart_lsn === null;
    if (gone || lost) await dropSlot(session, name, timeoutMs);
    if (lost && wanted.has(name)) await createSlot(session, name, timeoutMs);
  }
  for (const [name, member] of wanted) {
    const row = present.get(name);
    if (row === undefined) await createSlot(session, name, timeoutMs);
    else if (role === 'replica') await advance(session, row, member, context, timeoutMs);
  }
  return Object.fromEntries(rows.map((row) => [row.slot_name ?? '', Number(row.retained ?? 0)]));
}

/** A replica cannot make a slot that is for failovers: one that is no copy was made here while this member led. */
const staleQuery = `select slot_name from pg_replication_slots
  where slot_type = 'logical' and failover and not synced and not temporary and active_pid is null`;

/**
 * Makes room for copies of the leader's logical slots: one of the same name that is left from this member's own leadership stops the copying
 * of all, and holds log.
 */
export async function dropStaleLogicalSlots(
  { config, notices }: Pick<Instance, 'config' | 'notices'>,
  session: PgSession,
  timeoutMs: number,
): Promise<void> {
  if (config.copiesSlots === 'no' || config.replication.upstream === null) return;
  for (const { slot_name } of await session.rows(staleQuery, timeoutMs)) {
    await dropSlot(session, slot_name ?? '', timeoutMs);
    notices.add(
      `The logical slot ${slot_name} was left here from when this member led; it was dropped, so that the leader's slots can be copied here.`,
    );
  }
}

const advanceStepBytes = 1024 * 1024;

async function advance(session: PgSession, row: Row, member: MemberId, context: ClusterContext, timeoutMs: number) {
  const known = context.positions.get(member);
  if (known?.kind !== 'wal' || row.active === 't' || Number(row.retained ?? 0) < advanceStepBytes) return;
  const target = quoteLiteral(formatLsn(known.lsn));
  // Never beyond what this node itself has replayed: the server refuses that.
  await session.rows(
    `select pg_replication_slot_advance(slot_name, least(${target}::pg_lsn, pg_last_wal_replay_lsn())) from pg_replication_slots
     where slot_name = ${quoteLiteral(row.slot_name ?? '')} and active_pid is null
       and restart_lsn < least(${target}::pg_lsn, pg_last_wal_replay_lsn())`,
    timeoutMs,
  );
}
