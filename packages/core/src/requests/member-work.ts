/** What an operator asks of a member that does not lead: a new copy, a restart. */

import { type Action, act, type ClusterContext, freshPeer, ownSeal } from '../context.ts';
import { withdrawSeal } from '../failover/seal.ts';
import type { OperatorRequest } from '../values/record.ts';
import { closeRequest, closing, limitOf, type Request, seenForMs } from './request-end.ts';

type Restart = Extract<OperatorRequest, { kind: 'restart' }>;

/** A new copy, whatever this member's data is like: it is moved aside. What is not its own is never touched. The request ends when the copy has begun, or could not. */
export function reinit(ctx: ClusterContext, request: Request): Action | null {
  const { self, job, engine } = ctx.obs;
  const text = `${self} is being copied anew; its old data is moved aside.`;
  // The copy has begun, but that was not written down: a second one would throw the first away.
  if (job?.kind === 'clone') return closeRequest(ctx, request, 'done', text);
  if (engine.kind === 'refused' && engine.data !== 'damaged') {
    return closeRequest(ctx, request, 'refused', `${engine.problem} Nothing was touched.`);
  }
  const failure = failureOf(ctx, request, 'clone');
  if (failure !== null) return closeRequest(ctx, request, 'failed', `No copy was made: ${failure}`);
  if (job !== null || freshPeer(ctx, ctx.record.value.leader)?.engine.kind !== 'primary') return null;
  const seal = ownSeal(ctx);
  if (seal !== null)
    return withdrawSeal(ctx, seal.value.position, 'The seal that vouched for the data is given back first.');
  return act('reinit', 'An operator asked for a new copy.', [
    { kind: 'clone', from: ctx.record.value.leader },
    { kind: 'commit', purpose: 'close request', ...closing(ctx, request, 'done', text) },
  ]);
}

/** What has failed of it since this agent has seen the request. */
function failureOf(ctx: ClusterContext, request: Request, command: string): string | null {
  const forMs = seenForMs(ctx, request.value);
  const found = ctx.obs.failures.findLast((each) => each.command === command && each.agoMs < forMs);
  return found?.message ?? null;
}

/**
 * A restart, unless commits would wait for this member meanwhile. The request stays until the server is back as it was: until then no
 * other one is taken down by the same way.
 */
export function restart(ctx: ClusterContext, request: Request, value: Restart): Action | null {
  const { engine, job, self, incarnation } = ctx.obs;
  const isBegun = value.begun?.by === incarnation || ctx.memory.request?.step === 'restarting';
  if (isBegun) return awaitReturn(ctx, request, value);
  if (job !== null) return null;
  if (engine.kind === 'absent' || engine.kind === 'incomplete' || engine.kind === 'refused') {
    const text = `${self} has no server that could be restarted: its data is ${engine.kind}.`;
    return closeRequest(ctx, request, 'refused', text);
  }
  const objection = value.force === 'yes' ? null : whoWouldWait(ctx);
  if (objection !== null) return closeRequest(ctx, request, 'refused', objection);
  const memory = { request: { id: value.id, since: ctx.obs.now, step: 'restarting' as const } };
  return act('restart', 'An operator asked for a restart.', [{ kind: 'restart' }, begin(ctx, request, value)], memory);
}

function begin(ctx: ClusterContext, request: Request, value: Restart) {
  const begun = { by: ctx.obs.incarnation, until: value.begun?.until ?? whatItDoes(ctx) } as const;
  return {
    kind: 'commit',
    purpose: 'begin restart',
    expect: [{ key: 'request', is: request.revision }],
    put: [{ key: 'request', value: { ...value, begun } }],
  } as const;
}

/** What the server does now, and is to do again. */
function whatItDoes({ obs, record }: ClusterContext): NonNullable<Restart['begun']>['until'] {
  if (obs.engine.kind !== 'replica' || obs.engine.receiver.kind !== 'streaming') return 'runs';
  return record.value.rule.members.includes(obs.self) ? 'counts' : 'streams';
}

function awaitReturn(ctx: ClusterContext, request: Request, value: Restart): Action | null {
  const { self, job } = ctx.obs;
  const failure = failureOf(ctx, request, 'restart');
  if (failure !== null) return closeRequest(ctx, request, 'failed', `${self} did not restart: ${failure}`);
  // The server went down before that was written.
  if (value.begun?.by !== ctx.obs.incarnation) {
    return act('restart', `${self} restarts.`, [begin(ctx, request, value)]);
  }
  if (job !== null) return null;
  const { until } = value.begun;
  const isLate = seenForMs(ctx, value) > limitOf(value);
  const lacks = lackingOf(ctx, until);
  if (lacks === null) return closeRequest(ctx, request, 'done', `${self} has restarted, and ${RETURNED[until]}.`);
  if (!isLate) return null;
  const seconds = Math.round(limitOf(value) / 1000);
  const result = lacks === 'counts' ? 'done' : 'failed';
  const text = `${self} has restarted, and ${LACKING[lacks]} after ${seconds} s; see \`understudy explain ${self}\`.`;
  return closeRequest(ctx, request, result, text);
}

const RETURNED = { runs: 'runs', streams: 'streams again', counts: 'streams and acknowledges again' } as const;
const LACKING = {
  runs: 'its server does not run',
  streams: 'does not stream yet',
  counts: 'streams, but is not among those that acknowledge',
} as const;

/** What the server does not do again yet. */
function lackingOf(ctx: ClusterContext, until: NonNullable<Restart['begun']>['until']): typeof until | null {
  const { engine, self } = ctx.obs;
  if (engine.kind !== 'replica') return 'runs';
  if (until === 'runs') return null;
  if (engine.receiver.kind !== 'streaming') return 'streams';
  const leader = freshPeer(ctx, ctx.record.value.leader)?.engine;
  const isSeen =
    leader?.kind === 'primary' && leader.replicas.some((each) => each.member === self && each.kind === 'streaming');
  if (engine.upstream === ctx.record.value.leader && !isSeen) return 'streams';
  return until === 'counts' && !ctx.record.value.rule.members.includes(self) ? 'counts' : null;
}

/** Why commits would wait while this member is away; null when they would not. */
function whoWouldWait(ctx: ClusterContext): string | null {
  const { self } = ctx.obs;
  const { leader, rule, nextRule, durability } = ctx.record.value;
  const live = freshPeer(ctx, leader)?.engine;
  if (durability !== 'sync' || live?.kind !== 'primary') return null;
  for (const each of nextRule === null ? [rule] : [rule, nextRule]) {
    if (each.required === 0 || !each.members.includes(self)) continue;
    const others = live.replicas.filter(
      ({ member, kind }) => member !== self && kind === 'streaming' && each.members.includes(member),
    ).length;
    if (others >= each.required) continue;
    return (
      `Without ${self} ${others} of (${each.members.join(', ')}) would acknowledge, and ${each.required} must: all writes would wait ` +
      'while it restarts. Wait until another replica streams, or restart it all the same with --force.'
    );
  }
  return null;
}
