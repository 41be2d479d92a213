/** What an operator asks of a member that does not lead: a new copy, a restart. */

import { act, freshPeer, type LedTurn, ownSeal, type Step } from '../context.ts';
import { withdrawSeal } from '../failover/seal.ts';
import type { OperatorRequest } from '../values/record.ts';
import { closeRequest, closing, limitOf, type Request, seenForMs } from './request-end.ts';

type Restart = Extract<OperatorRequest, { kind: 'restart' }>;

/** A new copy, whatever this member's data is like: it is moved aside. What is not its own is never touched. The request ends when the copy has begun, or could not. */
export function reinit(turn: LedTurn, request: Request): Step | null {
  const { self, job, engine } = turn.obs;
  const text = `${self} is being copied anew; its old data is moved aside.`;
  // The copy has begun, but that was not written down: a second one would throw the first away.
  if (job?.kind === 'clone') return closeRequest(turn, request, 'done', text);
  if (engine.kind === 'refused' && engine.data !== 'damaged') {
    return closeRequest(turn, request, 'refused', `${engine.problem} Nothing was touched.`);
  }
  const failure = failureOf(turn, request, 'clone');
  if (failure !== null) return closeRequest(turn, request, 'failed', `No copy was made: ${failure}`);
  if (job !== null || freshPeer(turn, turn.record.value.leader)?.engine.kind !== 'primary') return null;
  const seal = ownSeal(turn);
  if (seal !== null)
    return withdrawSeal(turn, seal.value.position, 'The seal that vouched for the data is given back first.');
  return act('reinit', 'An operator asked for a new copy.', [
    { kind: 'clone', from: turn.record.value.leader },
    { kind: 'commit', purpose: 'close request', ...closing(turn, request, 'done', text) },
  ]);
}

/** What has failed of it since this agent has seen the request. */
function failureOf(turn: LedTurn, request: Request, command: string): string | null {
  const forMs = seenForMs(turn, request.value);
  const found = turn.obs.failures.findLast((each) => each.command === command && each.agoMs < forMs);
  return found?.message ?? null;
}

/**
 * A restart, unless commits would wait for this member meanwhile. The request stays until the server is back as it was: until then no
 * other one is taken down by the same way.
 */
export function restart(turn: LedTurn, request: Request, value: Restart): Step | null {
  const { engine, job, self, incarnation } = turn.obs;
  const isBegun = value.begun?.by === incarnation || turn.memory.request?.step === 'restarting';
  if (isBegun) return awaitReturn(turn, request, value);
  if (job !== null) return null;
  if (engine.kind === 'absent' || engine.kind === 'incomplete' || engine.kind === 'refused') {
    const text = `${self} has no server that could be restarted: its data is ${engine.kind}.`;
    return closeRequest(turn, request, 'refused', text);
  }
  const objection = value.force === 'yes' ? null : whoWouldWait(turn);
  if (objection !== null) return closeRequest(turn, request, 'refused', objection);
  const memory = { request: { id: value.id, since: turn.obs.now, step: 'restarting' } };
  return act('restart', 'An operator asked for a restart.', [{ kind: 'restart' }, begin(turn, request, value)], memory);
}

function begin(turn: LedTurn, request: Request, value: Restart) {
  const begun = { by: turn.obs.incarnation, until: value.begun?.until ?? whatItDoes(turn) } as const;
  return {
    kind: 'commit',
    purpose: 'begin restart',
    expect: [{ key: 'request', is: request.revision }],
    put: [{ key: 'request', value: { ...value, begun } }],
  } as const;
}

/** What the server does now, and is to do again. */
function whatItDoes({ obs, record }: LedTurn): NonNullable<Restart['begun']>['until'] {
  if (obs.engine.kind !== 'replica' || obs.engine.receiver.kind !== 'streaming') return 'runs';
  return record.value.rule.members.includes(obs.self) ? 'counts' : 'streams';
}

function awaitReturn(turn: LedTurn, request: Request, value: Restart): Step | null {
  const { self, job } = turn.obs;
  const failure = failureOf(turn, request, 'restart');
  if (failure !== null) return closeRequest(turn, request, 'failed', `${self} did not restart: ${failure}`);
  // The server went down before that was written.
  if (value.begun?.by !== turn.obs.incarnation) {
    return act('restart', `${self} restarts.`, [begin(turn, request, value)]);
  }
  if (job !== null) return null;
  const { until } = value.begun;
  const isLate = seenForMs(turn, value) > limitOf(value);
  const lacks = lackingOf(turn, until);
  if (lacks === null) return closeRequest(turn, request, 'done', `${self} has restarted, and ${RETURNED[until]}.`);
  if (!isLate) return null;
  const seconds = Math.round(limitOf(value) / 1000);
  const result = lacks === 'counts' ? 'done' : 'failed';
  const text = `${self} has restarted, and ${LACKING[lacks]} after ${seconds} s; see \`understudy explain ${self}\`.`;
  return closeRequest(turn, request, result, text);
}

const RETURNED = { runs: 'runs', streams: 'streams again', counts: 'streams and acknowledges again' } as const;
const LACKING = {
  runs: 'its server does not run',
  streams: 'does not stream yet',
  counts: 'streams, but is not among those that acknowledge',
} as const;

/** What the server does not do again yet. */
function lackingOf(turn: LedTurn, until: NonNullable<Restart['begun']>['until']): typeof until | null {
  const { engine, self } = turn.obs;
  if (engine.kind !== 'replica') return 'runs';
  if (until === 'runs') return null;
  if (engine.receiver.kind !== 'streaming') return 'streams';
  const leader = freshPeer(turn, turn.record.value.leader)?.engine;
  const isSeen =
    leader?.kind === 'primary' && leader.replicas.some((each) => each.member === self && each.kind === 'streaming');
  if (engine.upstream === turn.record.value.leader && !isSeen) return 'streams';
  return until === 'counts' && !turn.record.value.rule.members.includes(self) ? 'counts' : null;
}

/** Why commits would wait while this member is away; null when they would not. */
function whoWouldWait(turn: LedTurn): string | null {
  const { self } = turn.obs;
  const { leader, rule, nextRule, durability } = turn.record.value;
  const live = freshPeer(turn, leader)?.engine;
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
