import type { MemberId } from './brand.ts';
import type { Durability } from './record.ts';

/** The cluster's dynamic configuration, kept in the store. Durations in ms, sizes in bytes. */
export interface ClusterConfig {
  readonly durability: Durability;
  /** How many replicas must hold a commit before it is acknowledged. */
  readonly requiredAcks: number;
  /** What to do when too few replicas are there: `block` writes, or `degrade` to fewer acks (recorded first, so that no other node can be elected). */
  readonly whenShort: 'block' | 'degrade';
  readonly degradeAfterMs: number;
  /** `async` only: a replica that lacks more than this of the leader's last known position is not promoted. */
  readonly maxLagOnFailoverBytes: number;
  /** Silence of both streams after which a replica suspects its leader. */
  readonly suspectAfterMs: number;
  readonly leaseTtlMs: number;
  /** How long an acker may be away before the leader stops counting on it. */
  readonly ackerGoneMs: number;
  /** A replica that lags more than this is not added to the ackers. */
  readonly ackerLagBytes: number;
  readonly switchoverTimeoutMs: number;
  /** How much of its own grace an election gives to a preferred or returning node before the next equal one acts. */
  readonly electionStaggerMs: number;
  /** What a node with a diverged history may do: `clone` includes rewind; `manual` waits for `reinit`. */
  readonly rejoin: 'automatic' | 'manual';
  /**
   * For each member the replica that it is wanted under while it does not lead itself: a tree in place of a star. A wish: a member that
   * acknowledges, or whose upstream is not well, follows the leader.
   */
  readonly upstreams: Readonly<Record<string, MemberId>>;
  readonly synchronousCommit: 'on' | 'remote_apply' | 'remote_write' | 'local';
  /** Server parameters that the cluster sets on every node. */
  readonly parameters: Readonly<Record<string, string>>;
}

export const DEFAULT_CONFIG: ClusterConfig = {
  durability: 'sync',
  requiredAcks: 1,
  whenShort: 'block',
  degradeAfterMs: 3000,
  maxLagOnFailoverBytes: 1024 * 1024,
  suspectAfterMs: 900,
  leaseTtlMs: 10_000,
  ackerGoneMs: 1500,
  ackerLagBytes: 16 * 1024 * 1024,
  switchoverTimeoutMs: 10_000,
  electionStaggerMs: 300,
  rejoin: 'automatic',
  upstreams: {},
  synchronousCommit: 'on',
  parameters: {},
};
