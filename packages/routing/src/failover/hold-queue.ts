import { addMs, type Epoch, elapsedMs, type MemberId, type Ms } from '@understudy/core';
import type { RoutingTopology } from '../topology/topology.ts';

/** A statement that waits for a primary. Nothing of it was sent. */
export interface Held {
  /** Unique among those that wait. */
  readonly id: number;
  readonly bytes: number;
  readonly sinceMs: Ms;
}

export interface HoldLimits {
  readonly waitMs: number;
  readonly count: number;
  readonly bytes: number;
  /** How long the release of a full queue is spread over: everybody at once would find the new primary cold. */
  readonly spreadMs: number;
}

export const DEFAULT_HOLD_LIMITS: HoldLimits = {
  waitMs: 10_000,
  count: 10_000,
  bytes: 64 * 1024 * 1024,
  spreadMs: 100,
};

/** First come, first served. */
export interface HoldQueue {
  readonly waiting: readonly Held[];
  readonly bytes: number;
  /** A release under way: when it began and how many were waiting then. */
  readonly release: { readonly sinceMs: Ms; readonly of: number; readonly done: number } | null;
}

export const EMPTY_HOLD_QUEUE: HoldQueue = { waiting: [], bytes: 0, release: null };

export type HoldResult =
  | { readonly kind: 'held'; readonly queue: HoldQueue; readonly untilMs: Ms }
  | { readonly kind: 'full'; readonly by: 'count' | 'bytes' };

export function hold(queue: HoldQueue, held: Held, limits: HoldLimits): HoldResult {
  if (queue.waiting.length >= limits.count) return { kind: 'full', by: 'count' };
  if (queue.bytes + held.bytes > limits.bytes) return { kind: 'full', by: 'bytes' };
  const waiting = [...queue.waiting, held];
  return {
    kind: 'held',
    queue: { ...queue, waiting, bytes: queue.bytes + held.bytes },
    untilMs: addMs(held.sinceMs, limits.waitMs),
  };
}

/** Without the one of that id: it was cancelled, or its client is gone. */
export const withoutHeld = (queue: HoldQueue, id: number): HoldQueue => keep(queue, (held) => held.id !== id);

/** Takes out those that have waited as long as they may. */
export function expireHeld(
  queue: HoldQueue,
  nowMs: Ms,
  limits: HoldLimits,
): { readonly queue: HoldQueue; readonly expired: readonly Held[] } {
  const isOver = ({ sinceMs }: Held): boolean => elapsedMs(sinceMs, nowMs) >= limits.waitMs;
  const expired = queue.waiting.filter(isOver);
  return expired.length === 0 ? { queue, expired } : { queue: keep(queue, (held) => !isOver(held)), expired };
}

/**
 * Takes out those that are sent now: at once as many as there are free connections, the others evenly over `spreadMs`. Called again
 * whenever a connection becomes free and every few milliseconds until nobody waits.
 */
export function releaseHeld(
  queue: HoldQueue,
  nowMs: Ms,
  freeConnections: number,
  limits: HoldLimits,
): { readonly queue: HoldQueue; readonly released: readonly Held[] } {
  const release = queue.release ?? { sinceMs: nowMs, of: queue.waiting.length, done: 0 };
  const share = limits.spreadMs <= 0 ? 1 : Math.min(1, elapsedMs(release.sinceMs, nowMs) / limits.spreadMs);
  const due = Math.ceil(release.of * share) - release.done;
  const count = Math.min(queue.waiting.length, Math.max(due, Math.floor(freeConnections), 0));
  const released = queue.waiting.slice(0, count);
  const rest = keep({ ...queue, waiting: queue.waiting.slice(count) }, () => true);
  const isDone = rest.waiting.length === 0;
  return { queue: { ...rest, release: isDone ? null : { ...release, done: release.done + count } }, released };
}

/** The primary was lost again: whoever still waits goes on waiting. */
export const stopRelease = (queue: HoldQueue): HoldQueue => ({ ...queue, release: null });

function keep(queue: HoldQueue, wanted: (held: Held) => boolean): HoldQueue {
  const waiting = queue.waiting.filter(wanted);
  return { ...queue, waiting, bytes: waiting.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** A connection that was made after the sign, and on which the server itself said that it is a primary and writable. */
export interface WritableProof {
  readonly member: MemberId;
  /** The timeline that the server writes, as the server said. */
  readonly timeline: number;
  readonly atMs: Ms;
}

export interface HoldStart {
  readonly epoch: Epoch;
  readonly atMs: Ms;
}

/**
 * Whether what is held may be sent: a primary is open, and a writable connection to it has proven itself since. A higher epoch alone is
 * not enough, nor is a server that answers: a demoted one does. The same epoch is, if the loss was only of the connection.
 *
 * @param timeline that of the topology's epoch; null where nobody tells: then the server's word alone has to do.
 */
export function holdEnds(
  start: HoldStart,
  topology: RoutingTopology,
  timeline: number | null,
  proof: WritableProof | null,
  nowMs: Ms,
): boolean {
  if (topology.phase !== 'open' || topology.epoch < start.epoch || proof === null) return false;
  if (topology.leaseUntilMs !== null && nowMs >= topology.leaseUntilMs) return false;
  const isOfLeader = proof.member === topology.leader && (timeline === null || proof.timeline === timeline);
  return isOfLeader && proof.atMs >= start.atMs;
}
