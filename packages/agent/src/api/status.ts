import { monotonicMs } from '@understudy/base';
/** `GET /understudy/status`, `/explain` and `/history`. */

import {
  DEFAULT_TAGS,
  describeCommand,
  explainFailover,
  explainMember,
  formatPosition,
  lossOutlook,
  type MemberId,
  type OperatorRequest,
  recoveryPoint,
  timelineOf,
} from '@understudy/core';
import type { Agent } from '../agent/agent.ts';
import { encodeNullable } from '../codec/position.ts';
import { unkeepable } from '../config/acks.ts';
import { hopLag, lagBytes, type Picture, picture, positionsOf, roleOf, wantedBy } from './picture.ts';
import type {
  ExplainView,
  HistoryView,
  MemberView,
  OutcomeView,
  Outlook,
  RequestView,
  Rpo,
  StatusView,
} from './views.ts';

export function statusView(agent: Agent): StatusView {
  const seen = picture(agent);
  const { content, record, config } = seen;
  const view = agent.link.view();
  const decoded = agent.link.decoded;
  const began = decoded?.history.find((entry) => entry.epoch === record?.epoch);
  const members = memberIds(seen).map((id) => memberView(agent, seen, id));
  return {
    cluster: agent.config.cluster,
    engine: agent.engine.name,
    answeredBy: agent.self,
    wallMs: Date.now(),
    systemId: content?.identity?.value.systemId ?? null,
    epoch: record?.epoch ?? null,
    leader: record?.leader ?? null,
    phase: record?.phase ?? 'none',
    since: began === undefined ? null : { wallMs: began.wallMs, cause: began.cause },
    durability: record?.durability ?? config.durability,
    rule: record === null ? null : { members: [...record.rule.members], required: record.rule.required },
    moving:
      record === null || record.nextRule === null
        ? null
        : { members: [...record.nextRule.members], required: record.nextRule.required },
    paused: content?.paused ?? false,
    store: {
      kind: view.kind,
      silentMs: agent.link.silentMs,
      name: agent.link.name,
      problem: agent.link.problem,
      refusedWrite: agent.link.refusedWrite,
    },
    rpo: rpoOf(seen),
    losses: agent.latest === null ? null : (lossOutlook(agent.latest.observation)?.text ?? null),
    members,
    request: content === null || content.request === null ? null : requestView(content.request.value),
    lastOutcome: lastOutcome(agent),
    warnings: warningsOf(agent, members),
  };
}

function memberIds(seen: Picture): readonly MemberId[] {
  const ids = new Set<MemberId>([...(seen.content?.members.keys() ?? []), seen.self]);
  return [...ids].sort();
}

function memberView(agent: Agent, seen: Picture, id: MemberId): MemberView {
  const report = seen.reports.get(id) ?? null;
  const engine = report?.live.engine ?? null;
  const registered = seen.content?.members.get(id);
  const { position, replayed } = positionsOf(engine);
  const isReplica = engine?.kind === 'replica';
  const receiver = isReplica ? engine.receiver : null;
  const seenAs = agentSeen(seen, id);
  // What an agent said last says nothing of now: its state is not known, and what it was doing is not repeated.
  const isHeard = seenAs.kind === 'self' || seenAs.kind === 'fresh';
  const lag = id === agent.self && isReplica ? agent.lag.lag(engine.replayed, agent.runningMs()) : null;
  return {
    id,
    role: roleOf(id, engine, seen.record),
    state: isHeard ? (engine?.kind ?? 'unknown') : 'unknown',
    agent: seenAs,
    session: seen.content?.sessions.has(id) === true ? 'held' : 'absent',
    apiUrl: registered?.apiUrl ?? null,
    host: registered?.host ?? null,
    port: registered?.port ?? null,
    epoch: report?.live.epoch ?? null,
    lineage: position === null ? null : timelineOf(position),
    position: position === null ? null : formatPosition(position),
    encodedPosition: encodeNullable(position),
    replayed: replayed === null ? null : formatPosition(replayed),
    receiveLagBytes: isReplica ? lagBytes(seen.leaderPosition, position) : null,
    replayLagBytes: isReplica ? lagBytes(seen.leaderPosition, replayed) : null,
    replayLagMs: isReplica ? (lag?.ms ?? report?.extra.replayLagMs ?? null) : null,
    lagIsAtLeast: lag?.precision === 'at-least',
    upstream: isReplica ? engine.upstream : null,
    wantedUpstream: wantedBy(seen, id),
    ...hopLag(seen, id),
    receiver: receiver === null || !isHeard ? null : { ...receiver },
    suspects: report?.live.suspects ?? null,
    sealed: seen.content?.seals.get(id)?.value.epoch ?? null,
    tags: { ...(registered?.tags ?? (id === agent.self ? agent.config.tags : DEFAULT_TAGS)) },
    reasons: isHeard ? [...(report?.extra.reasons ?? [])] : [],
    job: isHeard ? (report?.extra.job ?? null) : null,
    version: report?.extra.version ?? null,
    pendingRestart: [...(report?.extra.pendingRestart ?? [])],
    warnings: [...(report?.extra.warnings ?? [])],
    retainedBytes: report?.extra.retainedBytes ?? {},
  };
}

function agentSeen(seen: Picture, id: MemberId): MemberView['agent'] {
  if (id === seen.self) return { kind: 'self' };
  const view = seen.views.get(id);
  if (view === undefined) return { kind: 'unregistered' };
  if (view.kind === 'refusing') return { kind: 'refusing', forMs: view.forMs };
  return { kind: view.kind, silentMs: view.silentMs };
}

/** What would be lost if the leader's host vanished now (`docs/protocol.md`, the promise). */
export function rpoOf(seen: Picture): Rpo {
  const { record, config } = seen;
  if (record === null) return { kind: 'unknown', text: 'rpo: unknown; no leader was ever recorded' };
  const leader = seen.reports.get(record.leader) ?? null;
  const engines = new Map([...seen.reports].map(([member, report]) => [member, report.live.engine] as const));
  const point = recoveryPoint(record, config, engines);
  switch (point.kind) {
    case 'zero-proven': {
      // A role or database that lowers synchronous_commit is outside of what the rule protects.
      const lowered = leader?.extra.warnings.find((warning) => warning.includes('synchronous_commit'));
      if (lowered === undefined) return { kind: 'zero-proven', text: `rpo: zero (proven): ${point.why}` };
      return { kind: 'zero-assumed', text: `rpo: zero (assumed: ${lowered})`, assumption: lowered };
    }
    case 'zero-assumed':
      return { kind: 'zero-assumed', text: `rpo: zero (assumed: ${point.why})`, assumption: point.why };
    case 'bounded': {
      const ms = bestLagMs(seen, record.leader);
      const bytes = point.upToBytes;
      const amount = `${bytes === null ? 'an unknown number of' : bytes} bytes / ${ms === null ? 'an unknown number of' : Math.round(ms)} ms`;
      return { kind: 'bounded', text: `rpo: up to ${amount}: ${point.why}`, bytes, ms };
    }
  }
}

/** The lag of the replica that is least behind: what a failover to it would lose at most. */
function bestLagMs(seen: Picture, leader: MemberId): number | null {
  const lags = [...seen.reports]
    .filter(([member, report]) => member !== leader && report.live.engine.kind === 'replica')
    .map(([, report]) => report.extra.replayLagMs)
    .filter((lag) => lag !== null);
  return lags.length === 0 ? null : Math.min(...lags);
}

function warningsOf(agent: Agent, members: readonly MemberView[]): string[] {
  const warnings = [...(agent.link.decoded?.warnings ?? [])];
  const { refusedWrite } = agent.link;
  if (refusedWrite !== null) warnings.push(`the store takes no writes, so no failover is possible: ${refusedWrite}`);
  if (agent.guard !== null && agent.guard.state === 'missing') warnings.push(`guard: ${agent.guard.describe()}`);
  const { watchdog } = agent.config.guard;
  if (watchdog !== undefined && agent.guard?.watchdog !== 'armed')
    warnings.push(`watchdog ${watchdog.device} is not armed`);
  warnings.push(...unkeepable(agent.engine, agent.clusterConfig));
  if (agent.changes.problem !== null) warnings.push(agent.changes.problem);
  for (const member of members) warnings.push(...member.warnings.map((warning) => `${member.id}: ${warning}`));
  return warnings;
}

export function requestView(request: OperatorRequest): RequestView {
  const at = request.kind === 'switchover' ? request.notBeforeWallMs : null;
  return { id: request.id, kind: request.kind, text: requestText(request), notBeforeWallMs: at };
}

function requestText(request: OperatorRequest): string {
  switch (request.kind) {
    case 'switchover':
      return `switchover${request.from === null ? '' : ` from ${request.from}`}${request.to === null ? '' : ` to ${request.to}`}`;
    case 'failover':
      return `failover to ${request.to}${request.proof === 'override' ? ' without proof' : ''}`;
    case 'reinit':
      return `new copy for ${request.member}`;
    case 'restart':
      return `restart of ${request.member}`;
  }
}

export function lastOutcome(agent: Agent): OutcomeView | null {
  const outcomes = [...(agent.link.decoded?.outcomes.values() ?? [])];
  const newest = outcomes.sort((a, b) => b.wallMs - a.wallMs)[0];
  return newest === undefined ? null : { ...newest };
}

export function explainView(agent: Agent): ExplainView {
  const latest = agent.latest;
  const now = monotonicMs();
  const decision = latest?.decision ?? null;
  const authority = decision?.authority ?? { kind: 'none' };
  const { state } = agent.session;
  return {
    member: agent.self,
    wallMs: Date.now(),
    agoMs: latest === null ? 0 : now - latest.observation.now,
    sameForMs: latest === null ? 0 : now - latest.sinceMs,
    epoch: agent.link.decoded?.content.record?.value.epoch ?? null,
    suspects: decision?.suspects ?? null,
    authority: authority.kind === 'none' ? { kind: 'none' } : { kind: 'primary', forMs: authority.until - now },
    commands: (decision?.commands ?? []).map(describeCommand),
    suspicion: latest === null ? null : explainMember(latest.observation, latest.decision).suspicion,
    reasons: [...(decision?.reasons ?? [{ code: 'starting', text: 'No decision was taken yet.' }])],
    pendingRestart: [...(latest?.report.extra.pendingRestart ?? [])],
    failures: [...(latest?.observation.failures ?? [])],
    session:
      state.kind === 'held'
        ? `held for another ${Math.round(state.until - now)} ms`
        : state.kind === 'foreign'
          ? `held by another agent (${state.holder})`
          : `not held${state.problem === null ? '' : `: ${state.problem}`}`,
    guard: agent.guard === null ? 'off' : agent.guard.describe(),
    outlook: outlookOf(agent),
  };
}

function outlookOf(agent: Agent): Outlook {
  const latest = agent.latest;
  if (latest === null) return { kind: 'unknown', why: 'No decision was taken yet.' };
  const outlook = explainFailover(latest.observation, latest.decision.memory);
  if (outlook.kind === 'unknown') return outlook;
  const { proof } = outlook;
  const losses = lossOutlook(latest.observation);
  return {
    ...outlook,
    ...(losses === null
      ? {}
      : { losses: { ...losses, one: [...losses.one], two: losses.two.map((pair) => [...pair]) } }),
    candidates: outlook.candidates.map((candidate) => ({ ...candidate })),
    proof:
      proof.kind === 'seals'
        ? { ...proof, of: [...proof.of], available: [...proof.available], missing: [...proof.missing] }
        : proof,
  };
}

export function historyView(agent: Agent): HistoryView {
  return (agent.link.decoded?.history ?? []).map((entry) => ({
    epoch: entry.epoch,
    leader: entry.leader,
    lineage: entry.timeline,
    cause: entry.cause,
    chosenAt: entry.chosenAt === null ? null : formatPosition(entry.chosenAt),
    wallMs: entry.wallMs,
  }));
}
