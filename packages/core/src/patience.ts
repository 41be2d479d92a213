/** Fractions and multiples of the configured times, and why they are what they are. */

import { addMs, type Ms } from './values/brand.ts';
import type { ClusterConfig } from './values/config.ts';

/**
 * Until when a server may still be opened on a decision made at `now`: half a lease. By then the session under which it was decided has
 * not ended (it is renewed several times in a lease), and half a lease is left for the opening before the guard would end it.
 */
export const promotionDeadline = (now: Ms, { leaseTtlMs }: ClusterConfig): Ms => addMs(now, leaseTtlMs / 2);

/**
 * How long a leader counts on having heard enough ackers that it does not hear now: half a lease from then. Enough for ackers that
 * connect again while the store is down; a leader that is really alone must not stay open for long.
 */
export const evidenceEnd = (heardAt: Ms, { leaseTtlMs }: ClusterConfig): Ms => addMs(heardAt, leaseTtlMs / 2);

/**
 * How long after a restore of the store a lease of before it may still hold: a lease, and as much again, because a store may grant more
 * than was asked for.
 */
export const oldLeaseMs = ({ leaseTtlMs }: ClusterConfig): number => 2 * leaseTtlMs;

/**
 * How long the others leave the first move to the node that an operator named: half of the time that a switchover may take, so that the
 * other half is left for one of them.
 */
export const namedTargetMs = ({ switchoverTimeoutMs }: ClusterConfig): number => switchoverTimeoutMs / 2;

/** The same while that node has not yet said that it could lead: it may never say so. */
export const unheardTargetMs = ({ switchoverTimeoutMs }: ClusterConfig): number => switchoverTimeoutMs / 4;

/** How long a candidate by lease alone waits for others that have not sealed yet: the grace of two candidates before it. */
export const pendingVotesMs = ({ electionStaggerMs }: ClusterConfig): number => 2 * electionStaggerMs;
