import { bootstrap } from './bootstrap/bootstrap.ts';
import {
  type Action,
  act,
  type ClusterContext,
  type Context,
  configOf,
  firstApplicable,
  freshPeer,
  type Handler,
  isPaused,
  ownSeal,
  reason,
  startPause,
  wait,
} from './context.ts';
import { noteAbsences } from './durability/ack-rule-change.ts';
import { elect } from './failover/election.ts';
import { sealWhenSuspected, staySealed } from './failover/seal.ts';
import { suspicion } from './failover/suspicion.ts';
import { authorityOf, newestEvidence } from './fencing/authority.ts';
import { fenceAlways } from './fencing/fence.ts';
import { lead } from './leader/leader.ts';
import { failedPromotion, leaderNotOpen, promotingSince } from './leader/leader-not-open.ts';
import { noteLeading } from './leader/unrest.ts';
import { contains, type Position } from './position/position.ts';
import { follow, rememberRefusal, rememberStopped, replaceUnopened, unpark } from './replica/follow.ts';
import { rememberCascade } from './replica/topology.ts';
import { rememberRequest } from './requests/request-end.ts';
import { memberRequests } from './requests/requests.ts';
import { leave, nothingToLeave } from './switchover/planned-stop.ts';
import { addMs, type SystemId } from './values/brand.ts';
import { KEEP_END } from './values/command.ts';
import type { Decision, Memory } from './values/decision.ts';
import type { EngineState } from './values/engine-state.ts';
import type { Observation } from './values/observation.ts';
import type { Reason } from './values/reason.ts';

/**
 * The whole protocol, for one agent at one instant: what it sees and remembers in, what it does and says out.
 *
 * Level-triggered: every decision looks at the whole observation; none relies on having seen the one before. Commands may be executed
 * not at all, once or twice. The order of the handlers is in `HANDLERS`.
 *
 * @returns commands in the order of execution, the reasons for them (also for doing nothing), what to tell the peers, and until when
 *   a primary here may go on without hearing from its agent again.
 */
export function decide(obs: Observation, memory: Memory): Decision {
  if (obs.store.kind === 'never') {
    return finish(memory, nothingToLeave(obs) ?? decideBlind(obs, obs.store.problem));
  }
  const content = obs.store.content;
  const ctx: Context = { obs, memory, content, config: configOf(content) };
  const stranger = refuseStranger(ctx);
  if (content.record === null) return finish(memory, nothingToLeave(obs) ?? stranger ?? bootstrap(ctx));
  const seen: ClusterContext = { ...ctx, record: content.record };
  const led: ClusterContext = { ...seen, memory: remember(seen) };
  if (stranger !== null) return finish(led.memory, nothingToLeave(obs) ?? replaceUnopened(led) ?? stranger);
  const action = asWrittenTo(led, firstApplicable(led, HANDLERS) ?? follow(led));
  const suspects = suspicion(led).kind === 'suspects' && !isPaused(led) ? led.record.value.epoch : null;
  const decision = finish(led.memory, action);
  return {
    ...decision,
    reasons: [...decision.reasons, ...failedCopy(obs, action)],
    suspects,
    authority: authorityOf(led),
  };
}

/**
 * The handlers in the order in which they are asked; the first that applies decides. What is urgent comes first, and of several steps
 * of one course the furthest: a node that could take the leadership (`replicaInElection`) must not be told to seal (`sealing`) first,
 * so the list reads backwards, from the end of a failover to its beginning.
 *
 * 1. A primary that must not be one stops, whatever else is to be done.
 * 2. An agent that was told to end hands over, and takes nothing on.
 * 3. The open leader leads; no other handler concerns it.
 * 4. An operator's word for this member.
 * 5. The recorded leader whose server is not open: it opens, comes back, or gives its epoch up.
 * 6. A server that has to be started again before anything can be asked of it.
 * 7. A sealed node takes part in the election.
 * 8. A node that suspects the leader seals.
 *
 * When none applies, the node is a replica and follows (`follow`).
 */
const HANDLERS: readonly Handler<ClusterContext>[] = [
  fenceAlways,
  leave,
  lead,
  memberRequests,
  leaderNotOpen,
  unpark,
  replicaInElection,
  sealing,
];

/** A copy that was asked for and failed is said beside whatever goes on without it: whoever asked must not take that for the copy. */
function failedCopy(obs: Observation, { reason: { code } }: Action): readonly Reason[] {
  const failure = obs.failures.findLast(({ command }) => command === 'clone');
  if (failure === undefined || code === 'copy-failed') return [];
  return [reason('copy-failed', `No copy was made: ${failure.message}`)];
}

/** A store that refuses writes: what has to be written there is tried all the same, and not said to have been done. */
function asWrittenTo({ obs }: ClusterContext, action: Action): Action {
  const refused = obs.store.kind === 'current' ? obs.store.refusesWrites : undefined;
  if (refused === undefined || !action.commands.some(({ kind }) => kind === 'commit')) return action;
  const text = `The store takes no writes (${refused}). Not possible before it does: ${action.reason.text}`;
  return { ...action, reason: { code: 'store-takes-no-writes', text } };
}

/** A sealed node, or one that the old leader's own seal lets in, takes part in the election. */
function replicaInElection(ctx: ClusterContext): Action | null {
  if (ctx.obs.engine.kind !== 'replica' || ctx.obs.job !== null) return null;
  const stay = staySealed(ctx);
  if (ctx.obs.store.kind !== 'current' || isPaused(ctx)) return stay;
  const election = elect(ctx);
  const memory = { ...stay?.memory, ...election?.memory };
  const chosen =
    (election?.commands.length ?? 0) > 0 ? election : (stay?.commands.length ?? 0) > 0 ? stay : (election ?? stay);
  return chosen === null ? null : { ...chosen, memory };
}

function sealing(ctx: ClusterContext): Action | null {
  if (ctx.obs.job !== null || ctx.obs.store.kind !== 'current' || ownSeal(ctx) !== null) return null;
  if (isPaused(ctx)) return null;
  const action = sealWhenSuspected(ctx);
  // A lonely suspicion must not keep a node from finding its way back to its leader.
  return action !== null && action.commands.length === 0 && action.reason.code === 'suspicion-quorum-missing'
    ? null
    : action;
}

/** Without any knowledge of the store: start what is stopped (fenced), touch nothing that runs. */
function decideBlind(obs: Observation, refused: string | undefined): Action {
  if (obs.engine.kind === 'stopped' && obs.job === null) {
    const text = `${refused ?? 'The store was never reached yet'}; starting read-only, without upstream.`;
    return startPause(obs) ?? act('start-fenced', text, [{ kind: 'start', end: KEEP_END }]);
  }
  if (refused !== undefined) return wait('store-refused', refused);
  return wait(
    'store-unreachable',
    'The store was never reached yet: check its address; nothing is opened for writes before.',
  );
}

/** Data of another cluster is never touched. */
function refuseStranger(ctx: Context): Action | null {
  const expected = ctx.content.identity?.value.systemId ?? null;
  const found = systemIdOf(ctx.obs.engine);
  if (expected === null || found === null || expected === found) return null;
  return wait(
    'foreign-data',
    `This node's data belongs to another cluster (system identifier ${found}; this cluster has ${expected}). Move the data directory away, or correct the configuration; nothing was touched.`,
  );
}

function systemIdOf(engine: EngineState): SystemId | null {
  return engine.kind === 'stopped' || engine.kind === 'replica' || engine.kind === 'primary' ? engine.systemId : null;
}

/** What is carried over, from the observation alone; actions may add to it. */
function remember(ctx: ClusterContext): Memory {
  const { obs, memory, record } = ctx;
  const { leader, epoch } = record.value;
  const { gone, unfit, short } = noteAbsences(ctx);
  const down = leader === obs.self && obs.engine.kind !== 'primary';
  const leaderLive = freshPeer(ctx, leader);
  const notOpen = leaderLive !== null && leaderLive.engine.kind !== 'primary';
  // An agent that kills a server which does not die says the same all the while: what it said first still counts.
  const hungMs = leaderLive?.engine.kind === 'unresponsive' ? leaderLive.engine.sinceMs : 0;
  const firstSeen = addMs(obs.now, -hungMs);
  const notOpenSince = memory.leaderNotOpenSince?.epoch === epoch ? memory.leaderNotOpenSince.since : firstSeen;
  return {
    ackersGoneSince: gone,
    ackersUnfitSince: unfit,
    finishing: memory.finishing?.revision === record.revision ? memory.finishing : null,
    ackEvidence: newestEvidence(ctx),
    shortSince: short,
    election: memory.election?.epoch === epoch ? memory.election : null,
    sealedSince: memory.sealedSince?.epoch === epoch ? memory.sealedSince : null,
    sealAttempt: memory.sealAttempt?.epoch === epoch ? memory.sealAttempt : null,
    promotionEnded: down && obs.engine.kind === 'stopped' ? epoch : memory.promotionEnded === epoch ? epoch : null,
    promotingSince: promotingSince(ctx),
    handingOver: memory.handingOver === epoch ? epoch : null,
    promotionFailed: failedPromotion(ctx),
    downSince: down ? (memory.downSince ?? obs.now) : null,
    leaderNotOpenSince: notOpen ? { epoch, since: notOpenSince } : null,
    request: rememberRequest(ctx),
    leaving: obs.leaving === 'yes' ? (memory.leaving ?? null) : null,
    leaderPosition: newest(memory.leaderPosition, leaderPositionNow(ctx)),
    cascade: rememberCascade(ctx),
    refusedSince: rememberRefusal(ctx),
    stoppedSince: rememberStopped(ctx),
    ...noteLeading(ctx),
    yielded: memory.yielded === epoch ? epoch : null,
    rewindFailed: obs.failures.some((failure) => failure.command === 'rewind')
      ? epoch
      : memory.rewindFailed === epoch
        ? epoch
        : null,
  };
}

function leaderPositionNow(ctx: ClusterContext): Position | null {
  const { obs, record } = ctx;
  const engine = record.value.leader === obs.self ? obs.engine : freshPeer(ctx, record.value.leader)?.engine;
  return engine?.kind === 'primary' ? engine.position : null;
}

function newest(known: Position | null, seen: Position | null): Position | null {
  if (seen === null) return known;
  // A new leader's history may lack the tail of the old one: the newer sighting counts unless it is an older point of the same history.
  return known !== null && contains(known, seen) ? known : seen;
}

function finish(memory: Memory, action: Action): Decision {
  return {
    memory: action.memory === undefined ? memory : { ...memory, ...action.memory },
    commands: action.commands,
    reasons: [action.reason],
    suspects: null,
    authority: { kind: 'none' },
  };
}
