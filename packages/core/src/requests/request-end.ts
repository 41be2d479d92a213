/** How an operator's request ends: by whoever carries it out, and by anybody when nobody does. */

import { type Action, act, type ClusterContext, freshPeer } from '../context.ts';
import { elapsedMs, type MemberId } from '../values/brand.ts';
import type { Expectation, RequestOutcome, StorePut } from '../values/command.ts';
import type { Memory } from '../values/decision.ts';
import type { Versioned } from '../values/observation.ts';
import type { OperatorRequest } from '../values/record.ts';

export type Request = Versioned<OperatorRequest>;

/** How long a member may take to begin with what it was asked for. */
const REMOTE_WORK_MS = 30_000;
/** How long a restarted server may take to be back. */
const RESTART_MS = 60_000;
/** How long past its time a request is left to those whose business it is: the leader, and the orderly stop of a handover. */
const GRACE_MS = { failover: 2000, switchover: 15_000, reinit: 5000, restart: 15_000 } as const;
/** How long past its time a target that was chosen may take to open. */
const OPENING_MS = 30_000;
/** By how much the clocks of two hosts may differ before a new request looks like one that was forgotten. */
const CLOCKS_MS = 60_000;

export interface Closing {
  readonly expect: readonly Expectation[];
  readonly put: readonly StorePut[];
}

/** Removes the pending request and records how it ended, in one transaction with whatever else the caller writes. */
export function closing(
  ctx: ClusterContext,
  request: Request,
  result: RequestOutcome['result'],
  reason: string,
): Closing {
  const { id, kind } = request.value;
  return {
    expect: [{ key: 'request', is: request.revision }],
    put: [
      { key: 'request', value: 'delete' },
      { key: `outcomes/${id}`, value: { id, kind, result, reason, wallMs: ctx.obs.wallMs } },
    ],
  };
}

/** Ends the pending request with a reason, and does nothing else. */
export function closeRequest(
  ctx: ClusterContext,
  request: Request,
  result: RequestOutcome['result'],
  text: string,
): Action {
  const { expect, put } = closing(ctx, request, result, text);
  return act(`request-${result}`, text, [{ kind: 'commit', purpose: 'close request', expect, put }], { request: null });
}

/** Since when this agent has seen the pending request; one that is scheduled has not begun. */
export function rememberRequest(ctx: ClusterContext): Memory['request'] {
  const value = ctx.content.request?.value;
  if (value === undefined || (value.kind === 'switchover' && value.notBeforeWallMs !== null)) return null;
  const known = ctx.memory.request;
  return known?.id === value.id ? known : { id: value.id, since: ctx.obs.now, step: 'seen' };
}

/** For how long this agent has seen the request. */
export function seenForMs(ctx: ClusterContext, { id }: OperatorRequest): number {
  const known = ctx.memory.request;
  return known?.id === id ? elapsedMs(known.since, ctx.obs.now) : 0;
}

/** How long the request may take, from when it is seen. */
export function limitOf(value: OperatorRequest): number {
  if (value.kind === 'restart' && value.begun !== undefined) return value.timeoutMs ?? RESTART_MS;
  return value.timeoutMs ?? REMOTE_WORK_MS;
}

/**
 * Ends a request that has had its time, on the open leader. What was asked long ago, of agents that were all away since, is not carried
 * out any more either: whoever asked has gone on.
 */
export function overdue(ctx: ClusterContext, request: Request): Action | null {
  const { value } = request;
  if (seenForMs(ctx, value) > limitOf(value)) return closeRequest(ctx, request, 'failed', unanswered(ctx, value));
  return forgotten(ctx, request);
}

/** The same on any other member, a little later: without a leader that could do it, or beside one that does not. */
export function overdueElsewhere(ctx: ClusterContext, request: Request): Action | null {
  const { value } = request;
  const { record } = ctx;
  const opens = value.kind === 'failover' && record.value.phase === 'promoting' && record.value.leader === value.to;
  const limitMs = limitOf(value) + GRACE_MS[value.kind] + (opens ? OPENING_MS : 0);
  return seenForMs(ctx, value) > limitMs ? closeRequest(ctx, request, 'failed', unanswered(ctx, value)) : null;
}

/** Ends a request that nobody began in its time. */
export function forgotten(ctx: ClusterContext, request: Request): Action | null {
  const { askedWallMs, ...value } = request.value;
  if (askedWallMs === undefined || ctx.memory.request?.step !== 'seen') return null;
  if (value.kind === 'restart' && value.begun !== undefined) return null;
  const ageMs = ctx.obs.wallMs - askedWallMs;
  if (ageMs <= limitOf(request.value) + CLOCKS_MS) return null;
  const text = `It was asked for ${Math.round(ageMs / 1000)} s ago, by the clocks of the hosts, and is not begun so late. Ask again if it is still wanted.`;
  return closeRequest(ctx, request, 'failed', text);
}

function unanswered(ctx: ClusterContext, value: OperatorRequest): string {
  switch (value.kind) {
    case 'failover':
      return `${value.to} did not take over; it may be down, behind, or without a quorum of seals: see \`understudy explain\`. The request is closed.`;
    case 'switchover':
      return `${value.to ?? 'Nobody'} did${value.to === null ? '' : ' not'} take over within ${value.timeoutMs} ms, and no leader closed the request. It is closed; who leads is decided without it.`;
    default:
      return notDone(ctx, value.member, limitOf(value), value.kind === 'restart' && value.begun !== undefined);
  }
}

/** Why a member did not do what it was asked for, as far as it shows. */
function notDone(ctx: ClusterContext, member: MemberId, limitMs: number, begun: boolean): string {
  const seconds = Math.round(limitMs / 1000);
  const live = member === ctx.obs.self ? ctx.obs : freshPeer(ctx, member);
  if (live !== null) {
    const what = begun ? 'restarted, and is not back as it was' : "'s agent is there, and has not come to it";
    return `${member}${begun ? ' ' : ''}${what} after ${seconds} s: its server is ${live.engine.kind}. See \`understudy explain ${member}\`.`;
  }
  if (!ctx.content.sessions.has(member)) return `${member}'s agent does not run: it holds no session in the store.`;
  return `${member}'s agent is alive by its session in the store, and was not heard by ${ctx.obs.self} within ${seconds} s.`;
}
