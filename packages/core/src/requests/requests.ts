import { doubtElsewhere } from '../bootstrap/store-past.ts';
import {
  type Action,
  act,
  type ClusterContext,
  dueHandover,
  freshPeer,
  ownReplicaPosition,
  tagsOf,
  wait,
} from '../context.ts';
import { takeLeadership } from '../failover/election.ts';
import { distanceBytes, type Position } from '../position/position.ts';
import { isFed } from '../replica/topology.ts';
import { elapsedMs, type MemberId } from '../values/brand.ts';
import type { RequestStep } from '../values/decision.ts';
import type { LiveState } from '../values/observation.ts';
import type { OperatorRequest } from '../values/record.ts';
import { reinit, restart } from './member-work.ts';
import {
  type Closing,
  closeRequest,
  closing,
  forgotten,
  overdue,
  overdueElsewhere,
  type Request,
} from './request-end.ts';

type Switchover = Extract<OperatorRequest, { kind: 'switchover' }>;

/** How long a switchover waits for a node that is alive by its session and not heard yet. */
const FIRST_WORD_MS = 15_000;
/** At most half of the switchover's own time: the other half is for the switchover. */
const firstWordMs = ({ timeoutMs }: Switchover): number => Math.min(FIRST_WORD_MS, timeoutMs / 2);
/** How long after its time a scheduled switchover is still begun, beyond its own limit: a change of leader may lie in between. */
const MISSED_MS = 60_000;

/** What a freshly opened leader says about the request that brought it here, if one did. */
export function outcomeOfElection(ctx: ClusterContext): Closing {
  const request = ctx.content.request;
  const value = dueHandover(ctx);
  if (request === null || value === null) return { expect: [], put: [] };
  const self = ctx.obs.self;
  const wanted = value.to === null ? (value.kind === 'switchover' && value.from === self ? null : self) : value.to;
  if (wanted === self) return closing(ctx, request, 'done', `${self} leads since epoch ${ctx.record.value.epoch}.`);
  const from = value.kind === 'switchover' ? value.from : null;
  const undone =
    from === self
      ? 'The handover was undone: no other node took over in time, and'
      : `${value.to ?? 'The target'} did not take over;`;
  return closing(ctx, request, 'failed', `${undone} ${self} leads since epoch ${ctx.record.value.epoch}.`);
}

/** Requests that the open leader carries out or answers. */
export function leaderRequests(ctx: ClusterContext): Action | null {
  const request = ctx.content.request;
  if (request === null || ctx.record.value.phase !== 'open') return null;
  const { value } = request;
  switch (value.kind) {
    case 'switchover':
      return switchover(ctx, request, value);
    case 'failover':
      if (value.to === ctx.obs.self) return closeRequest(ctx, request, 'refused', `${value.to} leads already.`);
      return overdue(ctx, request);
    case 'reinit':
    case 'restart':
      if (value.member !== ctx.obs.self) return overdue(ctx, request);
      return closeRequest(ctx, request, 'refused', ASK_ANOTHER[value.kind](value.member));
  }
}

const ASK_ANOTHER = {
  reinit: (member: MemberId) => `${member} is the leader; switch over to another node first.`,
  restart: (member: MemberId) => `${member} is the leader; switch over first, then restart it as a replica.`,
} as const;

function sinceOf(ctx: ClusterContext, id: string): typeof ctx.obs.now | null {
  return ctx.memory.request?.id === id ? ctx.memory.request.since : null;
}

const begin = (ctx: ClusterContext, id: string, step: RequestStep) => ({
  request: { id, since: sinceOf(ctx, id) ?? ctx.obs.now, step },
});

/**
 * Planned switchover on the leader (C28): check, checkpoint so that the stop is short, stop in order. The next leader is chosen only
 * after the stop, among nodes that hold its very end; choosing it before loses writes. What remains is done by
 * `leaderNotOpen` (publish the end) and by the election.
 */
function switchover(ctx: ClusterContext, request: Request, value: Switchover): Action | null {
  const { obs } = ctx;
  if (value.from !== null && value.from !== obs.self) {
    return closeRequest(ctx, request, 'refused', `${value.from} does not lead any more; ${obs.self} does.`);
  }
  if (value.notBeforeWallMs !== null) return scheduled(ctx, request, value, value.notBeforeWallMs);
  const late = forgotten(ctx, request);
  if (late !== null) return late;
  if (obs.job?.kind === 'stop') return wait('switchover-stopping', 'The server is shutting down in order.');
  const since = sinceOf(ctx, value.id);
  const step = since === null ? null : (ctx.memory.request?.step ?? null);
  if (step === 'stop') {
    // An orderly stop that has begun can not be taken back; one that does not end is cut short, and the election goes on from there.
    return act('switchover-stop-forced', 'The orderly stop did not end in time; stopping at once.', [
      { kind: 'stop', mode: 'fence' },
    ]);
  }
  if (since !== null && elapsedMs(since, obs.now) > value.timeoutMs) {
    return closeRequest(ctx, request, 'failed', `Not ready within ${value.timeoutMs} ms; nothing was changed.`);
  }
  const objection = preflight(ctx, value.to);
  if (objection !== null) {
    const waitedMs = since === null ? 0 : elapsedMs(since, obs.now);
    const isEarly = waitedMs <= firstWordMs(value);
    if (!isEarly || !mayYetBeHeard(ctx, value.to)) return closeRequest(ctx, request, 'refused', objection);
    const text = `${objection} Its session is alive, so it may be connecting: waiting for its first word.`;
    return wait('request-seen', text, begin(ctx, value.id, step ?? 'seen'));
  }
  if (obs.job !== null) return wait('switchover-checkpoint', `Before the stop: ${obs.job.kind}.`);
  if (ctx.record.value.nextRule !== null) return null;
  if (step !== 'checkpoint') {
    return act(
      'switchover-checkpoint',
      'Checkpoint first, so that the stop is short.',
      [{ kind: 'checkpoint' }],
      begin(ctx, value.id, 'checkpoint'),
    );
  }
  return act(
    'switchover-stop',
    'Stopping in order; the next leader is chosen after the stop.',
    [{ kind: 'stop', mode: 'handover' }],
    { ...begin(ctx, value.id, 'stop'), handingOver: ctx.record.value.epoch },
  );
}

/**
 * A switchover for later. When it begins is decided here alone, by this clock, and written down: for everybody else it has begun when the
 * store says so. One that nobody could begin in its time, because nobody led, is not begun long after it.
 */
function scheduled(ctx: ClusterContext, request: Request, value: Switchover, notBeforeWallMs: number): Action | null {
  const lateMs = ctx.obs.wallMs - notBeforeWallMs;
  if (lateMs < 0) return null;
  if (lateMs > value.timeoutMs + MISSED_MS) {
    const text = `Its time passed ${Math.round(lateMs / 1000)} s ago, when nobody could begin it. Ask again if it is still wanted.`;
    return closeRequest(ctx, request, 'failed', text);
  }
  const begun = { ...value, notBeforeWallMs: null, askedWallMs: ctx.obs.wallMs };
  return act('request-seen', 'The time of the scheduled switchover has come.', [
    {
      kind: 'commit',
      purpose: 'begin scheduled request',
      expect: [{ key: 'request', is: request.revision }],
      put: [{ key: 'request', value: begun }],
    },
  ]);
}

/** Why a switchover would not succeed now; null when it would. */
export function preflight(ctx: ClusterContext, to: MemberId | null): string | null {
  if (to === null) {
    const anyone = [...ctx.content.members.keys()].some((member) => objectionTo(ctx, member) === null);
    return anyone ? null : 'No replica is fit to lead now: see `understudy explain`.';
  }
  return objectionTo(ctx, to);
}

/** Whether an agent that is not heard is alive by its session: it was just started, or the connection to it is just being made. */
function mayYetBeHeard(ctx: ClusterContext, to: MemberId | null): boolean {
  const { members, sessions } = ctx.content;
  const asked = to === null ? [...members.keys()] : [to];
  return asked.some(
    (member) =>
      member !== ctx.obs.self &&
      members.has(member) &&
      sessions.has(member) &&
      !tagsOf(ctx, member).nofailover &&
      !holdsSession(ctx, member, freshPeer(ctx, member)),
  );
}

/** Whether the process that was heard is the one that holds the session: only that one can take the leadership. */
function holdsSession(ctx: ClusterContext, member: MemberId, heard: LiveState | null): boolean {
  return heard !== null && heard.incarnation === ctx.content.sessions.get(member)?.value;
}

function objectionTo(ctx: ClusterContext, member: MemberId): string | null {
  const { obs, config } = ctx;
  if (member === obs.self) return `${member} leads already.`;
  if (!ctx.content.members.has(member)) return `${member} is not a member of this cluster.`;
  if (tagsOf(ctx, member).nofailover) return `${member} is tagged nofailover.`;
  const peer = freshPeer(ctx, member);
  if (peer === null) return `${member}'s agent does not answer.`;
  if (!ctx.content.sessions.has(member)) return `${member}'s agent has no session in the store; it could not lead.`;
  if (!holdsSession(ctx, member, peer)) return `${member}'s agent was started anew and has not answered yet.`;
  if (peer.leaving === 'yes') return `${member}'s agent is ending.`;
  if (peer.engine.kind === 'replica' && peer.engine.blocked !== undefined) {
    return `${member} cannot open: ${peer.engine.blocked}.`;
  }
  const end = obs.engine.kind === 'primary' ? obs.engine.position : null;
  const confirmed = progressOf(ctx, member);
  if (end === null || confirmed === null) return `${member} does not replicate from ${obs.self} now.`;
  const lagBytes = distanceBytes(end, confirmed);
  if (lagBytes > config.ackerLagBytes) return `${member} lags by ${lagBytes} bytes (limit ${config.ackerLagBytes}).`;
  return null;
}

/** How far a replica is: as this leader's server sees it, or, below another replica, as its own agent says. Null when it gets no stream. */
function progressOf(ctx: ClusterContext, member: MemberId): Position | null {
  const { engine, self } = ctx.obs;
  const direct = engine.kind === 'primary' ? engine.replicas.find((replica) => replica.member === member) : undefined;
  if (direct !== undefined) return direct.kind === 'streaming' ? direct.confirmed : null;
  const live = freshPeer(ctx, member)?.engine;
  return live?.kind === 'replica' && live.upstream !== self && isFed(ctx, member) ? live.position : null;
}

/**
 * Requests that a member which does not lead carries out: a new copy, a restart, a failover that an operator forces. Whatever nobody
 * carries out ends here too: a request that stays would stand in the way of the next one.
 */
export function memberRequests(ctx: ClusterContext): Action | null {
  const request = ctx.content.request;
  if (request === null || ctx.obs.store.kind !== 'current') return null;
  const late = overdueElsewhere(ctx, request);
  if (late !== null) return late;
  const { value } = request;
  const { self } = ctx.obs;
  if (value.kind === 'failover')
    return value.to === self && value.proof === 'override' ? (forgotten(ctx, request) ?? override(ctx, request)) : null;
  if (value.kind === 'switchover' || value.member !== self || ctx.record.value.leader === self) return null;
  const forgot = forgotten(ctx, request);
  if (forgot !== null) return forgot;
  return value.kind === 'reinit' ? reinit(ctx, request) : restart(ctx, request, value);
}

/** A failover without proof: only on an operator's word, who was told what would be lost. The old receiver is cut first all the same. */
function override(ctx: ClusterContext, request: Request): Action | null {
  const { engine, job, self } = ctx.obs;
  if (engine.kind !== 'replica' || job !== null) return null;
  // Chosen already: opening closes the request.
  if (ctx.record.value.leader === self && ctx.record.value.phase === 'promoting') return null;
  const doubt = doubtElsewhere(ctx);
  if (doubt !== null) return doubt;
  if (engine.upstream !== null || engine.receiver.kind === 'streaming') {
    return act('sealing', 'An operator forces this node to lead: cutting its stream first.', [
      { kind: 'seal', epoch: ctx.record.value.epoch },
    ]);
  }
  const own = ownReplicaPosition(ctx);
  if (own === null) return wait('reading-log', 'The local log is still being read to its end.');
  return takeLeadership(ctx, own, {
    kind: 'override',
    members: [ctx.obs.self],
    base: [],
    expect: [{ key: 'request', is: request.revision }],
  });
}
