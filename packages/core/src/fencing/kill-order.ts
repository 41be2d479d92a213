/**
 * When a database server is killed. Every agent has a guard, a small process of its own that kills the server at the end of its time,
 * whatever became of the agent. What it is to kill, and when, is a kill order; it is decided here, by the agent and by the guard.
 */

import type { Ms } from '../values/brand.ts';
import type { Authority } from '../values/decision.ts';
import type { EngineState } from '../values/engine-state.ts';

/** @typeParam Server what tells one server process from every other, also from a later one with the same number */
export interface KillOrder<Server> {
  /** The database server to kill; null: there is none. */
  readonly server: Server | null;
  /** When, on the host's monotonic clock; null: it may run as long as it likes. */
  readonly untilMs: number | null;
  /** `undecided`: the agent does not know yet what holds. It may only shorten what the guard was told before, by whatever agent. */
  readonly certainty: 'decided' | 'undecided';
}

/** Whether both are there and the same process. */
export type IsSame<Server> = (a: Server | null, b: Server | null) => boolean;

/** Nothing is to be killed. */
export const NO_ORDER: KillOrder<never> = { server: null, untilMs: null, certainty: 'decided' };
/** Before an agent's first decision: whatever the guard was told by an earlier agent holds. */
export const UNDECIDED: KillOrder<never> = { server: null, untilMs: null, certainty: 'undecided' };

/** What the agent has seen and decided. */
export interface Seen<Server> {
  readonly engine: EngineState;
  readonly authority: Authority;
  readonly server: Server | null;
  readonly now: Ms;
  readonly leaseTtlMs: number;
}

/**
 * What an agent's decision means for its server's life.
 *
 * A primary has a deadline, always: the one that was decided or, while nothing is decided for it, the one it had before; one that
 * never had any gets one lease from now, unless the guard knows an earlier end from another agent. A replica has none.
 */
export function killOrderFor<Server>(
  { engine, authority, server, now, leaseTtlMs }: Seen<Server>,
  previous: KillOrder<Server>,
  isSame: IsSame<Server>,
): KillOrder<Server> {
  const isSilent = engine.kind === 'unresponsive';
  if (engine.kind === 'starting' || (isSilent && engine.was === 'unknown')) {
    // It may be the primary of an earlier agent, which an end was set for.
    return {
      server,
      untilMs: isSame(server, previous.server) ? previous.untilMs : null,
      certainty: 'undecided',
    };
  }
  const mayWrite = engine.kind === 'primary' || (isSilent && engine.was === 'primary');
  if (server === null || !mayWrite) return { server, untilMs: null, certainty: 'decided' };
  if (authority.kind === 'primary') return { server, untilMs: authority.until, certainty: 'decided' };
  return { server, untilMs: previous.untilMs ?? now + leaseTtlMs, certainty: 'undecided' };
}

/**
 * The order that the guard must have confirmed before a server is opened for writes: once it is open, nobody may be left to tell the guard.
 * @param leaseUntil the end of this agent's session; null when it holds none
 */
export function orderBeforeOpening<Server>(
  server: Server | null,
  leaseUntil: Ms | null,
  now: Ms,
  leaseTtlMs: number,
): KillOrder<Server> {
  return { server, untilMs: leaseUntil ?? now + leaseTtlMs, certainty: 'decided' };
}

/** Whether the guard is told at once. A deadline that moves can wait for the next heartbeat: the old one is earlier. */
export function isToldAtOnce<Server>(
  before: KillOrder<Server>,
  after: KillOrder<Server>,
  isSame: IsSame<Server>,
): boolean {
  const isOtherServer = (before.server !== null || after.server !== null) && !isSame(before.server, after.server);
  const isOtherKind = (after.untilMs === null) !== (before.untilMs === null);
  return isOtherServer || isOtherKind || after.certainty !== before.certainty;
}

/**
 * Which of two orders is in force: the one that the guard holds, or the one that it is told.
 *
 * A decided order replaces whatever was held. An undecided one, as of an agent that has just been started beside a running primary,
 * must not give that primary more time than the agent before it had decided: nobody knows yet whether it still leads.
 */
export function orderInForce<Server>(
  held: KillOrder<Server>,
  told: KillOrder<Server>,
  isSame: IsSame<Server>,
): KillOrder<Server> {
  if (told.certainty === 'decided' || held.server === null || held.untilMs === null) return told;
  if (told.server !== null && !isSame(told.server, held.server)) return told;
  return { ...told, server: held.server, untilMs: Math.min(held.untilMs, told.untilMs ?? held.untilMs) };
}

/** The server to kill now; null while its time is not up. */
export function dueForKill<Server>({ server, untilMs }: KillOrder<Server>, nowMs: number): Server | null {
  return untilMs === null || nowMs < untilMs ? null : server;
}
