import { epoch, lsn, memberId, type Position } from '@understudy/core';
import { clusterKey, HEALTHY, type RoutingNode, type RoutingTopology } from '../../src/index.ts';

export const CLUSTER = clusterKey('main', '7000000000000000001');

/** A position on the tests' history: timelines 1, 2, … forked at 1000, 2000, … */
export function at(timeline: number, end: number | bigint): Position {
  const history = Array.from({ length: timeline - 1 }, (_, index) => ({
    timeline: index + 1,
    switchLsn: lsn(BigInt(index + 1) * 1000n),
  }));
  return { kind: 'wal', timeline, lsn: lsn(BigInt(end)), history };
}

export const nodeOf = (name: string, more: Partial<RoutingNode> = {}): RoutingNode => ({
  member: memberId(name),
  role: 'replica',
  zone: null,
  weight: 1,
  takesReads: true,
  tags: new Set(),
  applied: null,
  health: HEALTHY,
  latencyMs: 1,
  inFlight: 0,
  ...more,
});

export const topologyOf = (nodes: readonly RoutingNode[], more: Partial<RoutingTopology> = {}): RoutingTopology => ({
  cluster: CLUSTER,
  epoch: epoch(2),
  phase: 'open',
  leader: nodes.find(({ role }) => role === 'primary')?.member ?? null,
  leaseUntilMs: null,
  overrode: null,
  opened: at(2, 1000),
  nodes,
  ...more,
});
