import { storeDoubt } from '../bootstrap/store-past.ts';
import {
  type Action,
  act,
  type ClusterContext,
  freshPeer,
  heldSession,
  isPaused,
  missingSession,
  ownSeal,
  startPause,
  wait,
} from '../context.ts';
import { elect } from '../failover/election.ts';
import { publishSeal } from '../failover/seal.ts';
import { isSealQuorum } from '../failover/suspicion.ts';
import { promotionDeadline } from '../patience.ts';
import { contains, formatPosition, timelineOf } from '../position/position.ts';
import { elapsedMs } from '../values/brand.ts';
import { type EngineCommand, KEEP_END } from '../values/command.ts';
import type { Memory } from '../values/decision.ts';
import type { ReplicaState, StoppedState } from '../values/engine-state.ts';
import { commitRecord } from './commit-record.ts';

/** How long a fallen leader leaves the others the first move before it starts its own server again. */
const FIRST_MOVE_MS = 500;

/** The same for one that gave up so that they elect. */
const YIELDED_MS = 10_000;

/**
 * What the recorded leader does while its server is not a primary: fallen, stopped for a handover, or booted fenced.
 * It may lead again only under a new epoch, with its own seal as the proof.
 */
export function leaderNotOpen(ctx: ClusterContext): Action | null {
  const { obs, record } = ctx;
  if (record.value.leader !== obs.self) return null;
  const { engine } = obs;
  if (ctx.obs.job !== null) return wait('busy', `The server is busy: ${ctx.obs.job.kind}.`);
  switch (engine.kind) {
    case 'absent':
    case 'incomplete':
      return wait('leader-data-lost', 'This node was the leader and its data is gone; the others must elect.');
    case 'stopped':
      return restartFenced(ctx, engine);
    case 'starting':
      return wait('starting', 'The server is starting.');
    case 'replica':
      return reclaim(ctx, engine);
    default:
      return null;
  }
}

/**
 * Whether a pause keeps a fallen leader down. Not one that was stopped to hand over: an operator asked for that in the pause, and whoever
 * takes the request back wants the leader that there was.
 */
const isLeftDown = (ctx: ClusterContext): boolean => isPaused(ctx) && ctx.memory.handingOver !== ctx.record.value.epoch;

function restartFenced(ctx: ClusterContext, engine: StoppedState): Action {
  const { obs, memory } = ctx;
  const end = engine.shutdown === 'clean' ? engine.position : null;
  if (isLeftDown(ctx)) return wait('paused', 'The cluster is paused: the server is left as it is.');
  if (end !== null && ownSeal(ctx) === null && obs.store.kind === 'current' && belongs(ctx, end)) {
    const text = `Stopped in order at ${formatPosition(end)}; the next leader must hold this.`;
    return publishSeal(ctx, end, 'handed-over', text);
  }
  const others = new Set(ctx.record.value.rule.members.filter((member) => freshPeer(ctx, member) !== null));
  const downMs = memory.downSince === null ? 0 : elapsedMs(memory.downSince, obs.now);
  const firstMoveMs = memory.yielded === ctx.record.value.epoch ? YIELDED_MS : FIRST_MOVE_MS;
  if (isSealQuorum(ctx, others) && downMs < firstMoveMs && ownSeal(ctx) === null) {
    return wait('first-move', 'The others can elect at once; this node restarts its server in a moment.');
  }
  const pause = startPause(ctx.obs);
  if (pause !== null) return pause;
  // Replicas may have acknowledged the end of its log, and nobody has been elected yet who holds it.
  return act('restart-fenced', 'Starting the server read-only, without upstream.', [{ kind: 'start', end: KEEP_END }]);
}

function reclaim(ctx: ClusterContext, engine: ReplicaState): Action {
  const { obs, record } = ctx;
  if (isLeftDown(ctx) && (record.value.phase === 'open' || ownSeal(ctx) !== null)) {
    return wait('paused', 'The cluster is paused: nobody is elected.');
  }
  if (obs.store.kind !== 'current') return wait('store-silent', 'The store does not answer; nobody can be elected.');
  if (engine.upstream !== null || engine.receiver.kind === 'streaming') {
    return act('sealing', 'The recorded leader follows nobody.', [{ kind: 'seal', epoch: record.value.epoch }]);
  }
  if (engine.position === null) return wait('reading-log', 'The local log is still being read to its end.');
  if (!belongs(ctx, engine.position)) {
    return wait(
      'leader-data-regressed',
      `This server ends at ${formatPosition(engine.position)}, before its own leadership began: it is no proof of anything.`,
    );
  }
  const sealed = ownSeal(ctx) !== null;
  const unfinished = sealed || record.value.phase === 'open' ? null : finishPromotion(ctx, engine);
  if (unfinished !== null) return unfinished;
  if (!sealed) {
    const text = `This node gives up epoch ${record.value.epoch} at ${formatPosition(engine.position)}.`;
    return publishSeal(ctx, engine.position, 'leader-sealed', text);
  }
  return elect(ctx) ?? wait('sealed', 'Sealed; waiting for an election.');
}

/**
 * Chosen, not open yet: the order to open is given again, also by a new agent, since the one that its predecessor gave may be under way
 * and cannot be called back. For the same reason the promotion is given up (null) only after the server was seen stopped: a server
 * that opens beside its own seal could acknowledge what the next leader lacks.
 */
function finishPromotion(ctx: ClusterContext, engine: ReplicaState): Action | null {
  const { obs, record, memory } = ctx;
  const { epoch, timeline, rule, incarnation } = record.value;
  if (memory.sealAttempt?.epoch === epoch) return null;
  const doubt = storeDoubt(ctx);
  if (doubt !== null) return doubt;
  const failure = failedPromotion(ctx);
  if (failure !== null || hasOpened(ctx, engine)) {
    if (memory.promotionEnded === epoch) return null;
    const why = failure === null ? 'This server had opened already and was stopped.' : failure.why;
    return act(
      'promotion-abandoned',
      `Giving up the promotion of epoch ${epoch}: ${why} The server is stopped first.`,
      [{ kind: 'stop', mode: 'fence' }],
    );
  }
  if (heldSession(ctx) === null) return missingSession();
  const notAfter = promotionDeadline(obs.now, ctx.config);

  const promote: EngineCommand = { kind: 'promote', epoch, timeline, rule, notAfter };
  const memoryAfter = { promotionEnded: null };
  if (incarnation === obs.incarnation) return act('promoting', `Opening for epoch ${epoch}.`, [promote], memoryAfter);
  const adoption = commitRecord(ctx, 'adopt promotion', { incarnation: obs.incarnation });
  return act('adopted', 'This agent is new; the promotion goes on under it.', [adoption, promote], memoryAfter);
}

/** Since when this node has been opening: from its decision on, which the store may not show yet. */
export function promotingSince({ obs, memory, record }: ClusterContext): Memory['promotingSince'] {
  const { epoch, leader, phase } = record.value;
  const known = memory.promotingSince;
  if (known !== null && (known.epoch > epoch || (known.epoch === epoch && phase === 'promoting'))) return known;
  return leader === obs.self && phase === 'promoting' ? { epoch, since: obs.now } : null;
}

/** Refused before anything was done, for what passes. */
const NOT_BEGUN = new Set(['ENGINE_DECISION_STALE', 'NOTE_UNKNOWN']);

/** The failure of this epoch's own promotion, kept for as long as the epoch: a server that recovers for minutes would see it tried for ever. */
export function failedPromotion({ obs, memory, record }: ClusterContext): Memory['promotionFailed'] {
  const { epoch, leader, phase } = record.value;
  if (leader !== obs.self || phase === 'open') return null;
  if (memory.promotionFailed?.epoch === epoch) return memory.promotionFailed;
  // Of an order of this epoch: one that an earlier epoch gave says nothing about this one.
  const known = memory.promotingSince;
  const sinceMs = known?.epoch === epoch ? elapsedMs(known.since, obs.now) : Number.POSITIVE_INFINITY;
  const failure = obs.failures.findLast(
    (each) => each.command === 'promote' && !NOT_BEGUN.has(each.code) && each.agoMs < sinceMs,
  );
  return failure === undefined ? null : { epoch, why: failure.message };
}

/**
 * Whether this server has already opened on the record's timeline and was stopped again before that was recorded (by an agent that
 * did not see its own write yet). Opening twice would make two histories of one number.
 */
function hasOpened(ctx: ClusterContext, engine: ReplicaState): boolean {
  return engine.position !== null && timelineOf(engine.position) === ctx.record.value.timeline;
}

/** Whether `position` is on the history that this node's leadership wrote: a server whose data was put back from elsewhere proves nothing. */
export function belongs(ctx: ClusterContext, position: Parameters<typeof contains>[0]): boolean {
  const { opened, chosenAt } = ctx.record.value;
  const start = opened ?? chosenAt;
  return start === null || contains(position, start);
}
