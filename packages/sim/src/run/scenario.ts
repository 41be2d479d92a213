import type { ClusterConfig, MemberTags } from '@understudy/core';
import type { Fault } from '../faults/fault.ts';
import type { NetParameters } from '../net/net.ts';
import type { Flavour } from '../server/flavour.ts';

/** Everything that a run depends on: the same scenario gives the same run, event by event. */
export interface Scenario {
  readonly seed: number;
  readonly flavour: Flavour;
  readonly nodes: number;
  /** For how long faults may strike; then everything is healed. */
  readonly durationMs: number;
  /** How long the healed cluster may take until every node replicates from one primary. */
  readonly settleMs: number;
  /** How long the settled cluster is watched: nothing may happen any more. */
  readonly idleMs: number;
  readonly config: Partial<ClusterConfig>;
  readonly tags: readonly Partial<MemberTags>[];
  readonly net: NetParameters;
  readonly clocks: readonly { readonly rate: number; readonly wallOffsetMs: number }[];
  /** When each host starts. */
  readonly bootDelaysMs: readonly number[];
  readonly storeClockRate: number;
  readonly writesPerSecond: number;
  /** For a moment after every change of a fault the clients write this much more often: that is when it matters. */
  readonly burstPerSecond: number;
  readonly writeBytes: number;
  readonly canRewind: 'yes' | 'no';
  readonly startLsn: number;
  readonly streamTimeoutMs: number;
  readonly faults: readonly Fault[];
}
