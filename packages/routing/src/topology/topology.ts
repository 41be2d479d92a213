import type { Brand, Epoch, MemberId, Ms, Position } from '@understudy/core';
import type { NodeHealth } from '../choice/health.ts';

/** Sixteen hex digits that only this cluster has: its name and the identity of its data. */
export type ClusterKey = Brand<string, 'ClusterKey'>;

/** What agents (or probes) say of the cluster, as the router knows it at one moment. */
export interface RoutingTopology {
  readonly cluster: ClusterKey;
  readonly epoch: Epoch;
  /** `promoting`: the leader is chosen and not open yet. */
  readonly phase: 'promoting' | 'open';
  readonly leader: MemberId | null;
  /** Until when the leader's lease holds, on the router's clock; null: not known (a plain list of servers), so `strong` is weaker. */
  readonly leaseUntilMs: Ms | null;
  /** The newest epoch that began on an operator's word: an acknowledged write of an older one may be lost. Null: none. */
  readonly overrode: Epoch | null;
  /** What the leader held when it opened in this epoch (`LeadershipRecord.opened`): the way its history came. Null while it is not known. */
  readonly opened: Position | null;
  readonly nodes: readonly RoutingNode[];
}

export interface RoutingNode {
  readonly member: MemberId;
  readonly role: 'primary' | 'replica';
  readonly zone: string | null;
  /** Share of reads relative to others; 1 is usual, 0 takes none. */
  readonly weight: number;
  /** False for members tagged `noloadbalance`, or that are being taken away. */
  readonly takesReads: boolean;
  readonly tags: ReadonlySet<string>;
  /** What it shows to readers, as last heard: more by now, never less, as long as a connection to it lives. Null: unknown, as after its end. */
  readonly applied: Position | null;
  readonly health: NodeHealth;
  /** Smoothed time of a round trip; 0: not measured. */
  readonly latencyMs: number;
  readonly inFlight: number;
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/** FNV-1a, 64 bits. It tells clusters apart; what keeps tokens from being made by others is the MAC. */
export function clusterKey(name: string, systemId: string): ClusterKey {
  let hash = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(`${name}\u0000${systemId}`)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME);
  }
  return hash.toString(16).padStart(16, '0') as ClusterKey;
}

export const primaryOf = (topology: RoutingTopology): RoutingNode | null =>
  topology.nodes.find(({ member }) => member === topology.leader) ?? null;
