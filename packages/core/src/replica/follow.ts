import { storeDoubt } from '../bootstrap/store-past.ts';
import {
  type Action,
  act,
  type ClusterContext,
  freshPeer,
  heldSession,
  missingSession,
  ownSeal,
  startPause,
  wait,
} from '../context.ts';
import { mayBeSealedYet, withdrawSeal } from '../failover/seal.ts';
import { contains, FIRST_TIMELINE, formatPosition, type Position, timelineOf } from '../position/position.ts';
import { elapsedMs, type MemberId } from '../values/brand.ts';
import { KEEP_END, type LogEnd } from '../values/command.ts';
import type { Memory } from '../values/decision.ts';
import type { EngineState, ReplicaState, StoppedState } from '../values/engine-state.ts';
import { behindText, compareWithLeader, type FollowTarget, followTargetOf } from './topology.ts';

/** A replica whose server hangs is restarted after this long; nothing depends on it meanwhile. */
const HUNG_REPLICA_MS = 10_000;
/** So many starts must have failed over the data before it is given up: a disk may come back. */
const DATA_FAILURES = 3;
/** How long an open leader must have refused a stream for its history before a copy is made. Replicas try again every second. */
const REFUSED_FOR_MS = 4000;
/** How long a fallen leader waits for others to hold what the new one opened with. Later it starts with its whole log. */
const LOG_END_PATIENCE_MS = 5000;

/** Brings a node that does not lead to where it belongs: a running replica of the recorded leader, or of a replica of it. */
export function follow(ctx: ClusterContext): Action {
  const { obs, content } = ctx;
  const { engine } = obs;
  if (obs.job !== null) return wait('busy', `The server is busy: ${obs.job.kind}.`);
  if (engine.kind === 'refused')
    return engine.data === 'damaged' ? renew(ctx, engine.problem) : wait('data-refused', engine.problem);
  if (engine.kind === 'primary') return wait('fencing', 'A primary that must not be one is being stopped.');
  if (content.paused && engine.kind !== 'replica')
    return wait('paused', 'The cluster is paused: the server is left as it is.');
  switch (engine.kind) {
    case 'absent':
      return copy(ctx, 'There is no data here yet.');
    case 'incomplete':
      return copy(ctx, 'The last copy was not finished.');
    case 'stopped':
      return beyondRepair(ctx, engine) ?? startPause(ctx.obs) ?? startAgain(ctx, engine);
    case 'starting':
      return wait('starting', 'The server is starting.');
    case 'unresponsive':
      if (engine.refusal !== undefined) return wait('server-closed', closedText(engine.refusal));
      return engine.sinceMs < HUNG_REPLICA_MS
        ? wait('server-hung', 'The server does not answer.')
        : act('server-hung', `The server has not answered for ${engine.sinceMs} ms: restarting it.`, [
            { kind: 'stop', mode: 'fence' },
          ]);
    case 'replica':
      return attach(ctx, engine);
  }
}

const closedText = (refusal: string): string =>
  `The server lives, but lets its agent ask nothing: ${refusal}. It is left as it is.`;

function startAgain(ctx: ClusterContext, engine: StoppedState): Action {
  const end = endOfLog(ctx);
  if (end.kind === 'keep' && engine.shutdown === 'crashed' && mayGoSoon(ctx)) {
    const { leader } = ctx.record.value;
    return wait(
      'log-end-waits',
      `Waiting until enough others hold what ${leader} opened with, before the log is read.`,
    );
  }
  return act('start-fenced', 'Starting the server read-only, without upstream.', [{ kind: 'start', end }]);
}

/**
 * What this node wrote as a leader may go once another one has opened after it and enough others hold that too: until then an acknowledged
 * write may be here and in the new leader's log alone, and nowhere else once that host is lost. A seal of this node that stands in the
 * store, or may still arrive there, vouches for everything that it held.
 */
function endOfLog(ctx: ClusterContext): LogEnd {
  const { leader, epoch, rule } = ctx.record.value;
  if (leader === ctx.obs.self || ownSeal(ctx) !== null || mayBeSealedYet(ctx)) return KEEP_END;
  return holdersOfOpening(ctx) >= rule.required ? { kind: 'discard', before: epoch } : KEEP_END;
}

/** How many ackers besides this node hold what the leader opened with; less than any number before it has opened. */
function holdersOfOpening(ctx: ClusterContext): number {
  const { phase, opened } = ctx.record.value;
  if (phase !== 'open' || opened === null) return Number.NEGATIVE_INFINITY;
  return otherAckers(ctx).filter((member) => {
    const engine = freshPeer(ctx, member)?.engine;
    return engine?.kind === 'replica' && engine.position !== null && contains(engine.position, opened);
  }).length;
}

const otherAckers = (ctx: ClusterContext): readonly MemberId[] =>
  ctx.record.value.rule.members.filter((member) => member !== ctx.obs.self);

/** Engines whose recovery has the choice: others need not wait for it. */
const CHOOSERS: ReadonlySet<string> = new Set(['mariadb']);

/** Whether the new leader and enough of its ackers live, so that they will hold it in a moment. Nobody waits longer for them than that. */
function mayGoSoon(ctx: ClusterContext): boolean {
  const { obs, memory, record } = ctx;
  const { leader, rule } = record.value;
  if (!CHOOSERS.has(obs.engineName) || leader === obs.self || obs.store.kind !== 'current') return false;
  if (ownSeal(ctx) !== null || mayBeSealedYet(ctx) || freshPeer(ctx, leader) === null) return false;
  const live = otherAckers(ctx).filter((member) => freshPeer(ctx, member) !== null);
  const since = memory.stoppedSince?.epoch === record.value.epoch ? memory.stoppedSince.since : obs.now;
  return live.length >= rule.required && elapsedMs(since, obs.now) < LOG_END_PATIENCE_MS;
}

/** Since when the server of a node that does not lead this epoch is stopped. */
export function rememberStopped({ obs, memory, record }: ClusterContext): Memory['stoppedSince'] {
  const { epoch, leader } = record.value;
  if (obs.engine.kind !== 'stopped' || leader === obs.self) return null;
  return memory.stoppedSince?.epoch === epoch ? memory.stoppedSince : { epoch, since: obs.now };
}

/** A new copy from the open leader. Whatever data was here is moved aside by the engine, never deleted. */
function copy(ctx: ClusterContext, why: string): Action {
  const { leader, phase } = ctx.record.value;
  if (phase !== 'open' || freshPeer(ctx, leader)?.engine.kind !== 'primary') {
    return wait('copy-waits', `${why} Waiting for an open leader to copy from.`);
  }
  if (ctx.obs.store.kind !== 'current') return storeSilent();
  const doubt = mayBeOnlyCopy(ctx.obs.engine) ? storeDoubt(ctx) : null;
  if (doubt !== null) return doubt;
  const seal = ownSeal(ctx);
  if (seal !== null)
    return withdrawSeal(ctx, seal.value.position, `${why} The seal that vouched for it is given back.`);
  if (ctx.obs.copiesHeld !== undefined && mayBeOnlyCopy(ctx.obs.engine))
    return wait('copy-held', `${why} ${ctx.obs.copiesHeld}`);
  const failed = ctx.obs.failures.findLast(({ command }) => command === 'clone');
  if (failed !== undefined) {
    return wait('copy-failed', `${why} The last attempt to copy failed, and is repeated later: ${failed.message}`);
  }
  return act('copying', `${why} Copying from ${leader}.`, [{ kind: 'clone', from: leader }]);
}

/** Whether a copy would move something aside that may be the only copy of what it holds. */
const mayBeOnlyCopy = ({ kind }: EngineState): boolean => kind !== 'absent' && kind !== 'incomplete';

/** Data that no server starts with, by its own words and more than once, is replaced by a copy where that is done by itself. */
function beyondRepair(ctx: ClusterContext, { startFailures }: StoppedState): Action | null {
  if (startFailures?.cause !== 'data' || startFailures.times < DATA_FAILURES) return null;
  // A copy that cannot be made now stands in the way of no further start.
  if (ctx.config.rejoin === 'manual' || ctx.obs.copiesHeld !== undefined) return null;
  const { leader, phase } = ctx.record.value;
  if (phase !== 'open' || leader === ctx.obs.self || freshPeer(ctx, leader)?.engine.kind !== 'primary') return null;
  return copy(
    ctx,
    `The server did not start ${startFailures.times} times, as its data is damaged: ${startFailures.words}`,
  );
}

/**
 * Data of another system that was made here for the bootstrap of this very cluster, which another member then finished (the one that
 * began it had died): it is still on the line that a new database begins with, so nobody was ever let in to write, and a copy takes its
 * place. Null when that is not so: data that anybody may have written to is never touched.
 */
export function replaceUnopened(ctx: ClusterContext): Action | null {
  const { obs, record } = ctx;
  const { engine } = obs;
  if (record.value.leader === obs.self || (engine.kind !== 'stopped' && engine.kind !== 'replica')) return null;
  if (obs.job !== null) return wait('busy', `The server is busy: ${obs.job.kind}.`);
  const position = engine.kind === 'stopped' ? engine.position : (engine.position ?? engine.replayed);
  // What crashed may be anybody's: it is not started to find out.
  if (position === null || obs.store.kind !== 'current') return null;
  if ((timelineOf(position) ?? FIRST_TIMELINE) > FIRST_TIMELINE) return null;
  return copy(ctx, 'The data here is of a bootstrap that another member finished; it was never open.');
}

/** Follow, rewind or copy: decided by comparing histories, never timeline numbers (C35). */
function attach(ctx: ClusterContext, engine: ReplicaState): Action {
  const { leader } = ctx.record.value;
  const target = followTargetOf(ctx, engine);
  const upstream = target.kind === 'under' ? target.upstream : leader;
  const isOnIt = engine.upstream === upstream && engine.receiver.kind === 'streaming';
  if (isOnIt && engine.parked !== undefined)
    return wait('parked', `${parkedText(engine.parked)} ${neededNow(ctx) ?? 'That is tried again soon.'}`);
  if (isOnIt && (target.kind === 'leader' || !hasDiverged(ctx, engine.position))) {
    return wait(
      'following',
      target.kind === 'under' ? `Following ${upstream}, a replica.` : followingText(leader, target),
    );
  }
  const damage = damageOf(engine);
  if (damage !== null) return renew(ctx, damage);
  if (engine.position === null) {
    return engine.upstream === upstream
      ? wait('connecting', `Connecting to ${upstream}.`)
      : wait('reading-log', 'The local log is still being read to its end.');
  }
  if (ctx.obs.store.kind !== 'current') return storeSilent();
  const history = compareWithLeader(ctx, engine.position);
  if (history === 'unknown') return wait('leader-not-open', `Waiting for ${leader} to open, to compare histories.`);
  if (history === 'diverged') return rejoin(ctx, engine.position);
  if (target.kind === 'under') return goUnder(ctx, engine, engine.position, target);
  if (engine.upstream !== leader) return startFollowing(ctx, leader, engine.position);
  return unstick(ctx, engine, ctx.record.value.phase);
}

const followingText = (leader: MemberId, { why }: Extract<FollowTarget, { kind: 'leader' }>): string =>
  why === null ? `Following ${leader}.` : `Following ${leader}: ${why}.`;

function hasDiverged(ctx: ClusterContext, own: Position | null): boolean {
  return ctx.obs.store.kind === 'current' && own !== null && compareWithLeader(ctx, own) === 'diverged';
}

/** Whoever connects may acknowledge: so first be sure that no seal of this node is in the store, or still on its way there. */
function startFollowing(ctx: ClusterContext, upstream: MemberId, own: Position, memory: Partial<Memory> = {}): Action {
  const { epoch } = ctx.record.value;
  if (heldSession(ctx) === null) return missingSession();
  if (mayBeSealedYet(ctx)) {
    return withdrawSeal(ctx, own, 'An attempt to seal may still arrive in the store: taking it back first.');
  }
  const text = `Following ${upstream} in epoch ${epoch}.`;
  return act('follow', text, [{ kind: 'follow', upstream, epoch }], memory);
}

/**
 * Goes below another replica, at exactly its own position: the old stream is cut first, so that this node's end stands still, and the new
 * one begins when the upstream has applied everything up to there. Engines differ in what they do with a replica that is ahead of its
 * source; none of them ever sees one.
 */
function goUnder(
  ctx: ClusterContext,
  engine: ReplicaState,
  own: Position,
  target: Extract<FollowTarget, { kind: 'under' }>,
): Action {
  const { upstream, applied } = target;
  const before = ctx.memory.cascade;
  const cascade = before?.upstream === upstream ? before : ({ upstream, state: 'trying', since: ctx.obs.now } as const);
  if (engine.upstream === upstream) return wait('connecting', `No stream from ${upstream} yet.`, { cascade });
  if (contains(applied, own)) return startFollowing(ctx, upstream, own, { cascade });
  if (engine.upstream === null) return wait('upstream-behind', behindText(upstream, applied, own), { cascade });
  const text = `Leaving ${engine.upstream} at ${formatPosition(own)}, to go on under ${upstream}.`;
  return act('leaving-upstream', text, [{ kind: 'seal', epoch: ctx.record.value.epoch }], { cascade });
}

/** Where a node belongs is in the store: on knowledge that may be old, it stays with whom it follows. */
function storeSilent(): Action {
  return wait('store-silent', 'The store does not answer; this node stays where it is.');
}

function rejoin(ctx: ClusterContext, own: Position): Action {
  const { obs, config, memory } = ctx;
  const { leader, epoch, phase, opened } = ctx.record.value;
  const where = `This node ends at ${formatPosition(own)}, which is not on ${leader}'s history (open at ${opened === null ? '?' : formatPosition(opened)}).`;
  if (config.rejoin === 'manual' || ctx.content.paused) {
    return wait('diverged', `${where} \`understudy reinit ${obs.self}\` makes a new copy and keeps this one aside.`);
  }
  if (phase !== 'open' || freshPeer(ctx, leader)?.engine.kind !== 'primary')
    return wait('diverged', `${where} Waiting for an open leader.`);
  // What an old copy of the store let in may lead: then this is the newer data.
  const doubt = storeDoubt(ctx);
  if (doubt !== null) return doubt;
  if (obs.copiesHeld !== undefined) return wait('copy-held', `${where} ${obs.copiesHeld}`);
  if (obs.canRewind === 'yes' && memory.rewindFailed !== epoch) {
    return act('rewinding', `${where} Rewinding; what only this node holds is kept aside.`, [
      { kind: 'rewind', from: leader },
    ]);
  }
  return copy(ctx, where);
}

/** Connected to the right leader, yet no stream. */
function unstick(ctx: ClusterContext, engine: ReplicaState, phase: 'promoting' | 'open'): Action {
  const { leader } = ctx.record.value;
  const cause = engine.receiver.kind === 'broken' ? engine.receiver.cause : 'unknown';
  if (phase === 'open' && cause === 'history' && isFirstRefusal(ctx, engine)) {
    return wait(
      'connecting',
      `${leader} refused the stream for its history, perhaps before it had opened: trying again.`,
    );
  }
  if (phase === 'open' && (cause === 'wal-removed' || cause === 'history')) {
    const detail = engine.receiver.kind === 'broken' ? engine.receiver.detail : undefined;
    return renew(ctx, detail ?? `${leader} no longer has the log that this node needs (${cause}).`);
  }
  const detail = engine.receiver.kind === 'broken' ? engine.receiver.detail : undefined;
  return wait('connecting', `No stream from ${leader} yet (${detail === undefined ? cause : `${cause}: ${detail}`}).`);
}

/**
 * A leader that is still applying what it received refuses those who have applied more, and says so until they have tried again after it
 * opened. The positions of the record say that this node is on its history, so a copy is made only when the refusal lasts. What the
 * engine itself found (`detail`) needs no second look.
 */
function isFirstRefusal(ctx: ClusterContext, { receiver }: ReplicaState): boolean {
  if (receiver.kind === 'broken' && receiver.detail !== undefined) return false;
  const { refusedSince } = ctx.memory;
  return refusedSince === null || elapsedMs(refusedSince.since, ctx.obs.now) < REFUSED_FOR_MS;
}

/** Since when the open leader refuses this node for its history. */
export function rememberRefusal({ obs, memory, record }: ClusterContext): Memory['refusedSince'] {
  const { engine } = obs;
  const { epoch, phase } = record.value;
  const isRefused =
    engine.kind === 'replica' && engine.receiver.kind === 'broken' && engine.receiver.cause === 'history';
  if (!isRefused || phase !== 'open') return null;
  return memory.refusedSince?.epoch === epoch ? memory.refusedSince : { epoch, since: obs.now };
}

/** What is damaged of what was received, if anything is: it is never applied, and never passed over. */
function damageOf({ receiver }: ReplicaState): string | null {
  if (receiver.kind !== 'broken' || receiver.cause !== 'damaged') return null;
  return receiver.detail ?? 'What this node has received is damaged.';
}

/** A new copy, where nobody wants to look at this one first. */
function renew(ctx: ClusterContext, why: string): Action {
  if (ctx.config.rejoin === 'manual' || ctx.content.paused) {
    return wait(
      'log-removed',
      `${why} \`understudy reinit ${ctx.obs.self}\` makes a new copy and keeps this one aside.`,
    );
  }
  return copy(ctx, why);
}

/**
 * Starts a server again whose recovery stands still until then. It still acknowledges what it receives, so that waits while the leader needs
 * it, and while another one is at it.
 */
export function unpark(ctx: ClusterContext): Action | null {
  const { obs } = ctx;
  if (obs.engine.kind !== 'replica' || obs.engine.parked === undefined) return null;
  if (obs.job !== null || ctx.content.paused || startPause(obs) !== null) return null;
  if (obs.engine.receiver.kind === 'streaming' && neededNow(ctx) !== null) return null;
  return act('parked', parkedText(obs.engine.parked), [{ kind: 'restart' }]);
}

const parkedText = (why: string): string => `The server must be started again: ${why}.`;

/** Why a parked replica that streams is not started again at this moment; null when it may be. */
function neededNow(ctx: ClusterContext): string | null {
  const { self, peers } = ctx.obs;
  const { rule, leader } = ctx.record.value;
  const live = freshPeer(ctx, leader)?.engine;
  const others = (live?.kind === 'primary' ? live.replicas : []).filter(
    ({ member, kind }) => member !== self && kind === 'streaming' && rule.members.includes(member),
  );
  if (rule.members.includes(self) && others.length < rule.required)
    return `${leader} has nobody else to acknowledge meanwhile.`;
  const first = [...peers.keys()].find((member) => member < self && isParked(freshPeer(ctx, member)?.engine));
  return first === undefined ? null : `${first} comes first.`;
}

const isParked = (engine: EngineState | undefined): boolean =>
  engine?.kind === 'replica' && engine.parked !== undefined;
