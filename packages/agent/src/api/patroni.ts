import { monotonicMs } from '@understudy/base';
/**
 * The answers that load balancers, exporters and dashboards made for Patroni expect: same paths, same codes, same fields
 * (Patroni's `docs/rest_api.rst`).
 */

import { extentOf, formatLsn, formatPosition, isSyncStandby, type Position, timelineOf } from '@understudy/core';
import type { Agent } from '../agent/agent.ts';
import { hopLag, lagBytes, type Picture, picture, positionsOf, servesNow, wantedBy } from './picture.ts';

export type Query = Readonly<Record<string, string | undefined>>;

type Check = (agent: Agent, query: Query) => boolean;

const UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };

/** Reads `16MB`, `64kB`, `1048576`; null when it is not a size. */
export function parseSize(text: string): number | null {
  const match = /^(\d{1,15})\s*([kKMGT]?B)?$/.exec(text.trim());
  const unit = UNITS[(match?.[2] ?? '').toUpperCase()];
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

/** Tags as Patroni's query parameters compare them: as lower-case text. */
function tagsMatch(agent: Agent, query: Query): boolean {
  const tags: Readonly<Record<string, unknown>> = { ...agent.config.tags };
  return Object.entries(query)
    .filter(([key]) => key.startsWith('tag_'))
    .every(([key, value]) => String(tags[key.slice(4)] ?? 'false').toLowerCase() === value?.toLowerCase());
}

function isReplica(agent: Agent, query: Query): boolean {
  const engine = agent.latest?.observation.engine;
  if (engine?.kind !== 'replica' || agent.config.tags.noloadbalance || !tagsMatch(agent, query)) return false;
  const { replication_state: state, lag } = query;
  if (state !== undefined && state !== replicationState(engine.receiver.kind)) return false;
  return lag === undefined || isWithin(agent, engine.replayed, lag);
}

function isWithin(agent: Agent, position: Position, limit: string): boolean {
  const limitBytes = parseSize(limit);
  const bytes = lagBytes(picture(agent).leaderPosition, position);
  return limitBytes !== null && bytes !== null && bytes <= limitBytes;
}

const replicationState = (receiver: 'none' | 'broken' | 'streaming'): string =>
  receiver === 'streaming' ? 'streaming' : 'in archive recovery';

const isPrimary: Check = (agent, query) => servesNow(agent) === 'primary' && tagsMatch(agent, query);
const isSync = (agent: Agent): boolean => isSyncStandby(picture(agent).record, agent.self);
const runs = (agent: Agent): boolean => {
  const kind = agent.latest?.observation.engine.kind;
  return kind === 'primary' || kind === 'replica';
};

function isReady(agent: Agent, query: Query): boolean {
  if (servesNow(agent) === 'primary') return true;
  const engine = agent.latest?.observation.engine;
  if (engine?.kind !== 'replica' || engine.receiver.kind !== 'streaming') return false;
  const position = query.mode === 'write' ? engine.position : engine.replayed;
  const limit = query.lag ?? String(agent.clusterConfig.maxLagOnFailoverBytes);
  return position !== null && isWithin(agent, position, limit);
}

/** Whether decisions are still taken: a process that answers HTTP but is stuck otherwise is not alive. */
function isLive(agent: Agent): boolean {
  const latest = agent.latest;
  return latest !== null && monotonicMs() - latest.observation.now < 2 * agent.clusterConfig.leaseTtlMs;
}

/** Path to condition: 200 when it holds, else 503. */
export const HEALTH_CHECKS: Readonly<Record<string, Check>> = {
  '/': isPrimary,
  '/primary': isPrimary,
  '/read-write': isPrimary,
  '/leader': isPrimary,
  '/master': isPrimary,
  '/standby-leader': () => false,
  '/standby_leader': () => false,
  '/replica': isReplica,
  '/read-only': (agent, query) => isPrimary(agent, query) || isReplica(agent, query),
  '/sync': (agent, query) => isSync(agent) && isReplica(agent, query),
  '/synchronous': (agent, query) => isSync(agent) && isReplica(agent, query),
  '/quorum': (agent, query) => isSync(agent) && isReplica(agent, query),
  '/read-only-sync': (agent, query) => isPrimary(agent, query) || (isSync(agent) && isReplica(agent, query)),
  '/read-only-quorum': (agent, query) => isPrimary(agent, query) || (isSync(agent) && isReplica(agent, query)),
  '/async': (agent, query) => !isSync(agent) && isReplica(agent, query),
  '/asynchronous': (agent, query) => !isSync(agent) && isReplica(agent, query),
  '/health': (agent) => runs(agent),
  '/liveness': (agent) => isLive(agent),
  '/readiness': isReady,
};

/** `170010` from `17.10`; null when the version is unknown. */
export function serverVersionNumber(version: string | null): number | null {
  const match = version === null ? null : /^(\d+)\.(\d+)/.exec(version);
  return match === null ? null : Number(match[1]) * 10_000 + Number(match[2]);
}

const STATES: Readonly<Record<string, string>> = {
  absent: 'uninitialized',
  incomplete: 'creating replica',
  refused: 'start failed',
  stopped: 'stopped',
  starting: 'starting',
  replica: 'running',
  primary: 'running',
  unresponsive: 'unknown',
};

/** The body of a health answer for those who may not look: what they are asking for, and nothing of addresses or positions. */
export function briefStatus(agent: Agent): Record<string, unknown> {
  const kind = agent.latest?.observation.engine.kind ?? 'absent';
  return {
    state: STATES[kind] ?? 'unknown',
    role: kind === 'primary' ? 'primary' : 'replica',
    patroni: { version: '4.0.0', scope: agent.config.cluster, name: agent.config.member },
  };
}

/** The body of every health answer, and of `GET /patroni`. */
export function nodeStatus(agent: Agent): Record<string, unknown> {
  const latest = agent.latest;
  const engine = latest?.observation.engine ?? null;
  const seen = picture(agent);
  const { position } = positionsOf(engine);
  const silentMs = agent.link.silentMs;
  const extra = latest?.report.extra;
  const systemId = seen.content?.identity?.value.systemId ?? null;
  const version = serverVersionNumber(extra?.version ?? null);
  return {
    state: STATES[engine?.kind ?? 'absent'] ?? 'unknown',
    role: engine?.kind === 'primary' ? 'primary' : 'replica',
    ...(version === null ? {} : { server_version: version }),
    ...xlogOf(agent),
    ...(position === null ? {} : { timeline: timelineOf(position) }),
    ...(engine?.kind === 'primary' ? { replication: replicationOf(seen, agent) } : {}),
    ...(engine?.kind === 'replica' ? { replication_state: replicationState(engine.receiver.kind) } : {}),
    ...(isSync(agent) ? { sync_standby: true } : {}),
    ...(seen.record === null ? { cluster_unlocked: true } : {}),
    ...(seen.content?.paused === true ? { pause: true } : {}),
    ...(extra !== undefined && extra.pendingRestart.length > 0 ? { pending_restart: true } : {}),
    dcs_last_seen: silentMs === null ? 0 : Math.floor((Date.now() - silentMs) / 1000),
    tags: patroniTags(agent),
    ...(systemId === null ? {} : { database_system_identifier: systemId }),
    patroni: { version: '4.0.0', scope: agent.config.cluster, name: agent.config.member },
    epoch: seen.record?.epoch ?? null,
  };
}

function xlogOf(agent: Agent): { readonly xlog?: Record<string, unknown> } {
  const engine = agent.latest?.observation.engine;
  if (engine?.kind === 'primary') return { xlog: { location: extentOf(engine.position) } };
  if (engine?.kind !== 'replica') return {};
  const received = engine.position ?? engine.replayed;
  return {
    xlog: {
      received_location: extentOf(received),
      replayed_location: extentOf(engine.replayed),
      replayed_timestamp: null,
      paused: false,
    },
  };
}

function replicationOf(seen: Picture, agent: Agent): readonly Record<string, unknown>[] {
  const engine = agent.latest?.observation.engine;
  if (engine?.kind !== 'primary') return [];
  return engine.replicas.map((replica) => ({
    usename: 'replication',
    application_name: replica.member,
    client_addr: seen.content?.members.get(replica.member)?.host ?? null,
    state: replica.kind === 'streaming' ? 'streaming' : 'catchup',
    sync_state: isSyncStandby(seen.record, replica.member) ? 'quorum' : 'async',
    sync_priority: isSyncStandby(seen.record, replica.member) ? 1 : 0,
  }));
}

/** Patroni leaves out tags that are not set. */
function patroniTags(agent: Agent): Record<string, unknown> {
  return visibleTags(agent.config.tags);
}

function visibleTags(tags: Agent['config']['tags']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries({ ...tags, failover_priority: tags.priority }).filter(
      ([key, value]) => key !== 'priority' && value !== false && value !== null && !(key === 'delayMs' && value === 0),
    ),
  );
}

const CLUSTER_ROLES = { leader: 'leader', standby: 'quorum_standby', replica: 'replica' } as const;

/** `GET /cluster` */
export function clusterStatus(agent: Agent): Record<string, unknown> {
  const seen = picture(agent);
  const members = [...(seen.content?.members.values() ?? [])].map((member) => {
    const report = seen.reports.get(member.id);
    const engine = report?.live.engine ?? null;
    const isLeader = seen.record?.leader === member.id;
    const { position, replayed } = positionsOf(engine);
    const isStreaming = engine?.kind === 'replica' && engine.receiver.kind === 'streaming';
    const state = isStreaming ? 'streaming' : (STATES[engine?.kind ?? ''] ?? 'unknown');
    const standby = isSyncStandby(seen.record, member.id) ? CLUSTER_ROLES.standby : CLUSTER_ROLES.replica;
    const wanted = wantedBy(seen, member.id);
    const shown = { ...visibleTags(member.tags), ...(wanted === null ? {} : { replicatefrom: wanted }) };
    const tags = Object.keys(shown).length === 0 ? {} : { tags: shown };
    const upstream = engine?.kind === 'replica' ? engine.upstream : null;
    return {
      name: member.id,
      role: isLeader ? CLUSTER_ROLES.leader : standby,
      state: seen.views.get(member.id)?.kind === 'refusing' ? 'unknown' : state,
      api_url: `${member.apiUrl}/patroni`,
      host: member.host,
      port: member.port,
      ...(position === null ? {} : { timeline: timelineOf(position) }),
      ...tags,
      ...(upstream === null ? {} : { upstream, hop_lag: hopLag(seen, member.id).hopLagBytes ?? 'unknown' }),
      ...((seen.reports.get(member.id)?.extra.pendingRestart.length ?? 0) > 0 ? { pending_restart: true } : {}),
      ...(isLeader ? {} : replicaLag(seen.leaderPosition, position, replayed)),
    };
  });
  return { members, scope: agent.config.cluster, ...scheduled(seen), ...(seen.content?.paused ? { pause: true } : {}) };
}

function replicaLag(leader: Position | null, position: Position | null, replayed: Position | null) {
  const unknown = (bytes: number | null) => bytes ?? 'unknown';
  return {
    receive_lag: unknown(lagBytes(leader, position)),
    ...(position === null ? {} : { receive_lsn: lsnText(position) }),
    replay_lag: unknown(lagBytes(leader, replayed)),
    ...(replayed === null ? {} : { replay_lsn: lsnText(replayed) }),
    lag: unknown(lagBytes(leader, replayed)),
    ...(replayed === null ? {} : { lsn: lsnText(replayed) }),
  };
}

/** An LSN as PostgreSQL writes it; what has none is written as people read it. */
const lsnText = (position: Position): string =>
  position.kind === 'wal' ? formatLsn(position.lsn) : formatPosition(position);

function scheduled(seen: Picture): Record<string, unknown> {
  const request = seen.content?.request?.value;
  if (request?.kind !== 'switchover' || request.notBeforeWallMs === null) return {};
  const at = new Date(request.notBeforeWallMs).toISOString();
  const from = request.from ?? seen.record?.leader;
  return { scheduled_switchover: { at, from, ...(request.to === null ? {} : { to: request.to }) } };
}

/** `GET /history`: a line for each timeline that ended. */
export function timelineHistory(agent: Agent): readonly unknown[] {
  const history = agent.link.decoded?.history ?? [];
  return history.slice(1).map((entry, index) => {
    const before = history[index];
    const at = entry.chosenAt === null ? 0 : extentOf(entry.chosenAt);
    return [before?.timeline ?? 0, at, entry.cause, new Date(entry.wallMs).toISOString(), entry.leader];
  });
}

/** `GET /failsafe`: the members whose agents must answer; here for tools that ask. */
export function failsafeMembers(agent: Agent): Record<string, string> {
  const members = picture(agent).content?.members.values() ?? [];
  return Object.fromEntries([...members].map((member) => [member.id, `${member.apiUrl}/patroni`]));
}
