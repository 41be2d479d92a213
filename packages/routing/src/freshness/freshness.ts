import { contains, type MemberId, type Ms, type Position, upToTimeline } from '@understudy/core';
import type { Level } from '../levels/level.ts';
import type { TokenStanding } from '../token/standing.ts';
import type { RoutingNode } from '../topology/topology.ts';
import { type PositionClock, stalenessMs } from './position-clock.ts';

/** What a node must show. */
export type Requirement =
  | { readonly kind: 'none' }
  /** Only the primary will do, and why. */
  | { readonly kind: 'primary'; readonly why: 'strong' | 'history-unknown' }
  | {
      readonly kind: 'position';
      readonly position: Position;
      /** As of `TokenStanding`: then a guard proves nothing. */
      readonly canBeLost: boolean;
      /** Who had applied all of it when it was acknowledged: an ack rule of `remote_apply` that every one of them must meet. */
      readonly appliedBy?: ReadonlySet<MemberId>;
    }
  | { readonly kind: 'staleness'; readonly maxLagMs: number };

/** The standings in which something can be required at all; the others are refused or waited out before. */
export type UsableStanding = Extract<TokenStanding, { kind: 'empty' | 'valid' | 'unknown' }>;

/** What a level asks for, given what the session's tokens stand for. */
export function requirementOf(level: Level, standing: UsableStanding, appliedBy?: ReadonlySet<MemberId>): Requirement {
  switch (level.kind) {
    case 'strong':
      return { kind: 'primary', why: 'strong' };
    case 'bounded':
      return { kind: 'staleness', maxLagMs: level.maxLagMs };
    case 'eventual':
      return { kind: 'none' };
    case 'session':
    case 'causal':
      if (standing.kind === 'empty') return { kind: 'none' };
      if (standing.kind === 'unknown') return { kind: 'primary', why: 'history-unknown' };
      return {
        kind: 'position',
        position: standing.position,
        canBeLost: standing.canBeLost,
        ...(appliedBy === undefined ? {} : { appliedBy }),
      };
  }
}

/**
 * - `fresh`: provably, and why.
 * - `guard`: behind when last heard, on the way that leads to `position`: a guard in front of the read decides at the server.
 * - `stale`: not, or not known.
 */
export type Freshness =
  | {
      readonly kind: 'fresh';
      readonly why: 'not-required' | 'applied' | 'applied-by-rule' | 'within-bound' | 'is-primary';
    }
  | { readonly kind: 'guard'; readonly position: Position }
  | { readonly kind: 'stale'; readonly why: 'position-unknown' | 'diverged' | 'behind' | 'too-old' | 'only-primary' };

/**
 * Whether what a replica shows meets a requirement.
 *
 * @param opened what the present leader held when it opened; null where that is not known.
 */
export function freshnessOf(
  node: RoutingNode,
  requirement: Requirement,
  opened: Position | null,
  clock: PositionClock,
  nowMs: Ms,
): Freshness {
  if (node.role === 'primary') return { kind: 'fresh', why: 'is-primary' };
  if (requirement.kind === 'primary') return { kind: 'stale', why: 'only-primary' };
  const { applied } = node;
  if (applied !== null && hasLeft(applied, opened)) return { kind: 'stale', why: 'diverged' };
  if (requirement.kind === 'none') return { kind: 'fresh', why: 'not-required' };
  if (requirement.kind === 'position' && requirement.appliedBy?.has(node.member) === true) {
    return { kind: 'fresh', why: 'applied-by-rule' };
  }
  if (applied === null) return { kind: 'stale', why: 'position-unknown' };
  if (requirement.kind === 'staleness') {
    const ageMs = stalenessMs(clock, applied, nowMs);
    const isWithin = ageMs !== null && ageMs <= requirement.maxLagMs;
    return isWithin ? { kind: 'fresh', why: 'within-bound' } : { kind: 'stale', why: 'too-old' };
  }
  if (contains(applied, requirement.position)) return { kind: 'fresh', why: 'applied' };
  return canGuard(applied, requirement.position, requirement.canBeLost)
    ? { kind: 'guard', position: requirement.position }
    : { kind: 'stale', why: 'behind' };
}

/**
 * A guard compares an LSN and is blind for timelines: a server that went on beyond a fork has the number and not the data. It must have
 * been seen on the position's own timeline, which is never left for an older one. It may have gone to a newer one since, of which this
 * router has not heard: an acknowledged commit is in that too, anything else perhaps not. Sets of transactions are exact.
 */
function canGuard(applied: Position, position: Position, canBeLost: boolean): boolean {
  if (applied.kind === 'gtid' || position.kind === 'gtid') return applied.kind === position.kind;
  return !canBeLost && applied.timeline === position.timeline && contains(position, applied);
}

/** Whether it holds what the present leader's history does not: rows of an old primary that nobody else has. Nobody reads there. */
export function hasLeft(applied: Position, opened: Position | null): boolean {
  if (opened === null || applied.kind !== opened.kind) return false;
  if (applied.kind === 'gtid' || opened.kind === 'gtid') return false;
  if (applied.timeline === opened.timeline) return false;
  // On a newer timeline than the leader that is known: the router is behind, and cannot tell.
  if (applied.timeline > opened.timeline) return true;
  const stretch = upToTimeline(opened, applied.timeline);
  return stretch === null || stretch.kind !== 'wal' || applied.lsn > stretch.lsn;
}
