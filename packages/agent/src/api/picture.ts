import { monotonicMs } from '@understudy/base';
/** One look at the whole cluster, as this agent sees it: what the HTTP answers are made of. */

import {
  type ClusterConfig,
  distanceBytes,
  type EngineState,
  isSyncStandby,
  type LeadershipRecord,
  type MemberId,
  type PeerView,
  type Position,
  type Serves,
  type StoreContent,
  servesAt,
  wantedUpstream,
} from '@understudy/core';
import type { Agent } from '../agent/agent.ts';
import type { PeerReport } from '../peers/report.ts';

export interface Picture {
  readonly content: StoreContent | null;
  readonly config: ClusterConfig;
  readonly record: LeadershipRecord | null;
  readonly self: MemberId;
  /** The newest report of every member that was ever heard, this one's own included. */
  readonly reports: ReadonlyMap<MemberId, PeerReport>;
  readonly views: ReadonlyMap<MemberId, PeerView>;
  /** Where the leader is, as far as known here. */
  readonly leaderPosition: Position | null;
}

export function picture(agent: Agent): Picture {
  const content = agent.link.decoded?.content ?? null;
  const record = content?.record?.value ?? null;
  const reports = new Map(agent.peers.reports());
  const latest = agent.latest;
  if (latest !== null) reports.set(agent.self, latest.report);
  const leaderEngine = record === null ? undefined : reports.get(record.leader)?.live.engine;
  const leaderPosition =
    leaderEngine?.kind === 'primary' ? leaderEngine.position : (latest?.decision.memory.leaderPosition ?? null);
  return {
    content,
    config: agent.clusterConfig,
    record,
    self: agent.self,
    reports,
    views: agent.peers.views(),
    leaderPosition,
  };
}

/** What this very server may be asked for now, at this instant and not only at the last decision. */
export function servesNow(agent: Agent): Serves {
  const { latest, link } = agent;
  if (latest === null) return 'nothing';
  return servesAt(latest.observation, latest.decision, link.decoded?.content.record?.value ?? null, monotonicMs());
}

export type RoleOf = 'leader' | 'sync-standby' | 'replica' | 'none';

export function roleOf(member: MemberId, engine: EngineState | null, record: LeadershipRecord | null): RoleOf {
  if (record?.leader === member) return 'leader';
  if (engine?.kind !== 'replica') return 'none';
  return isSyncStandby(record, member) ? 'sync-standby' : 'replica';
}

export function positionsOf(engine: EngineState | null): {
  readonly position: Position | null;
  readonly replayed: Position | null;
} {
  switch (engine?.kind) {
    case 'primary':
      return { position: engine.position, replayed: engine.position };
    case 'replica':
      return { position: engine.position, replayed: engine.replayed };
    case 'stopped':
      return { position: engine.position, replayed: null };
    default:
      return { position: null, replayed: null };
  }
}

export function lagBytes(leader: Position | null, position: Position | null): number | null {
  return leader === null || position === null ? null : distanceBytes(leader, position);
}

/** The replica that a member is wanted under now; null when that is the leader, or nobody leads. */
export function wantedBy({ content, record, config }: Picture, member: MemberId): MemberId | null {
  if (content === null || record === null) return null;
  return wantedUpstream(config.upstreams, content.members, record.leader, member);
}

/** How far a replica is behind the member that it receives from, by what both report. */
export function hopLag(seen: Picture, member: MemberId): { hopLagBytes: number | null; hopLagMs: number | null } {
  const own = seen.reports.get(member);
  const upstream = own?.live.engine.kind === 'replica' ? own.live.engine.upstream : null;
  const source = upstream === null ? undefined : seen.reports.get(upstream);
  if (own === undefined || source === undefined) return { hopLagBytes: null, hopLagMs: null };
  const [ownMs, sourceMs] = [
    own.extra.replayLagMs,
    source.live.engine.kind === 'primary' ? 0 : source.extra.replayLagMs,
  ];
  return {
    hopLagBytes: lagBytes(positionsOf(source.live.engine).position, positionsOf(own.live.engine).position),
    hopLagMs: ownMs === null || sourceMs === null ? null : Math.max(0, ownMs - sourceMs),
  };
}
