import { type Epoch, type GtidSet, gtidUnion, type Lsn } from '@understudy/core';
import { RoutingError } from '../errors.ts';
import type { ClusterKey } from '../topology/topology.ts';

/**
 * Why something is in a token.
 *
 * - `acked`: a commit that was acknowledged by the cluster's rule in `sync` durability. No failover loses it, but one that an operator forced.
 * - `local`: a commit that only its server had (`async`, or `synchronous_commit` lowered). A failover may lose it.
 * - `seen`: rows that were read. A failover may take them back.
 */
export const PROOFS = ['acked', 'local', 'seen'] as const;
export type Proof = (typeof PROOFS)[number];

/** The end of a write or read in its engine's coordinates. `lsn`: everything before it on that timeline. */
export type TokenPosition =
  | { readonly kind: 'wal'; readonly timeline: number; readonly lsn: Lsn }
  | { readonly kind: 'gtid'; readonly set: GtidSet };

export interface TokenEntry {
  /** The leadership in which it was taken. */
  readonly epoch: Epoch;
  readonly proof: Proof;
  readonly position: TokenPosition;
}

/**
 * What a session has written and seen, as a value that can be handed on. Merging is a join: associative, commutative, idempotent
 * (`mergeTokens`). Of each epoch, proof and timeline there is one entry, in the order of `compareEntries`.
 */
export interface Token {
  readonly cluster: ClusterKey;
  /** The newest issue of what was merged, in ms since 1970 by the issuer's clock; only for expiry. */
  readonly issuedWallMs: number;
  readonly entries: readonly TokenEntry[];
}

export const emptyToken = (cluster: ClusterKey): Token => ({ cluster, issuedWallMs: 0, entries: [] });

/** A token of one commit or read. */
export function newToken(cluster: ClusterKey, entry: TokenEntry, nowWallMs: number): Token {
  return { cluster, issuedWallMs: Math.max(0, Math.floor(nowWallMs)), entries: [entry] };
}

/**
 * Everything that one of the two stands for.
 *
 * @throws RoutingError `TOKEN_FOREIGN` when they belong to different clusters.
 */
export function mergeTokens(a: Token, b: Token): Token {
  if (a.cluster !== b.cluster) throw foreign(a.cluster, b.cluster);
  return {
    cluster: a.cluster,
    issuedWallMs: Math.max(a.issuedWallMs, b.issuedWallMs),
    entries: joinEntries([...a.entries, ...b.entries]),
  };
}

/** One entry for each key, each the join of those with that key, in order. */
export function joinEntries(entries: readonly TokenEntry[]): readonly TokenEntry[] {
  const joined = new Map<string, TokenEntry>();
  for (const entry of entries) {
    const key = keyOf(entry);
    const other = joined.get(key);
    joined.set(key, other === undefined ? entry : { ...entry, position: join(other.position, entry.position) });
  }
  return [...joined.values()].toSorted(compareEntries);
}

/** Two positions of one key: of one kind, and for a log of one timeline. */
function join(a: TokenPosition, b: TokenPosition): TokenPosition {
  if (a.kind === 'wal' && b.kind === 'wal') return a.lsn >= b.lsn ? a : b;
  if (a.kind === 'gtid' && b.kind === 'gtid') return { kind: 'gtid', set: gtidUnion(a.set, b.set) };
  return a;
}

function keyOf({ epoch, proof, position }: TokenEntry): string {
  return `${epoch}:${proof}:${position.kind}:${position.kind === 'wal' ? position.timeline : ''}`;
}

function compareEntries(a: TokenEntry, b: TokenEntry): number {
  return a.epoch - b.epoch || PROOFS.indexOf(a.proof) - PROOFS.indexOf(b.proof) || timelineOf(a) - timelineOf(b);
}

const timelineOf = ({ position }: TokenEntry): number => (position.kind === 'wal' ? position.timeline : 0);

export function foreign(wanted: ClusterKey, found: ClusterKey): RoutingError {
  return new RoutingError('TOKEN_FOREIGN', `The token belongs to cluster ${found}, this is ${wanted}.`, {
    retry: 'unsafe',
    sqlState: '22023',
    nextStep: 'Send the token to the cluster that it came from, or none.',
  });
}
