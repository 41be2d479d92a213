import { type ClusterContext, currentSeals, dueHandover, freshPeer, peerSilenceMs, reason } from '../context.ts';
import { timelineOf } from '../position/position.ts';
import type { MemberId } from '../values/brand.ts';
import type { EngineState, Receiver, UnresponsiveState } from '../values/engine-state.ts';
import type { LiveState } from '../values/observation.ts';
import type { Reason, ReasonCode } from '../values/reason.ts';
import { type LeadershipRecord, sealsSuffice } from '../values/record.ts';

/** A refusal must last this long before it counts as the death of the process behind the address. */
const REFUSED_FOR_MS = 100;
/** How long a chosen leader may take to open before the others look for another, while its agent is well. */
const PROMOTION_PATIENCE_MS = 15_000;
/** How long a planned handover may take between the stop and the leader's own seal before the others seal by themselves. */
const HANDOVER_PATIENCE_MS = 1000;
/** Its own agent takes 3 s to give up a server that hangs, and kills it; what is dead by then it says. The rest waits for a disk. */
const HUNG_LEADER_MS = 5000;
/** How much longer silence has to last at most before a leader is suspected. */
const MOST_PATIENCE = 8;

export type Suspicion = { readonly kind: 'trusts' } | { readonly kind: 'suspects'; readonly reason: Reason };

/**
 * Whether this member takes the leader for dead (`docs/protocol.md`, step 1). One sign is never enough: a silent agent with a progressing
 * replication stream is a frozen agent beside a healthy server. A false suspicion costs a switchover, never data.
 */
export function suspicion(ctx: ClusterContext): Suspicion {
  const { obs, record } = ctx;
  const leader = record.value.leader;
  if (leader === obs.self) return { kind: 'trusts' };
  const request = ctx.content.request?.value;
  const asked = request?.kind === 'failover' && request.proof === 'quorum' && request.to !== leader;
  // A leader that is only about to open closes the request itself when it does.
  if (asked && record.value.phase === 'open') {
    return suspects('operator-failover', `An operator asked to replace ${leader}.`);
  }
  const peer = obs.peers.get(leader);
  if (peer?.kind === 'fresh') return judgeReport(ctx, peer.live, leader);
  const receiver = receiverFrom(leader, obs.engine);
  if (peer?.kind === 'refusing' && peer.forMs >= REFUSED_FOR_MS && receiver.kind !== 'streaming') {
    return suspects('leader-gone', `${leader}'s address refuses connections and its replication stream has ended.`);
  }
  const silentMs = Math.min(peerSilenceMs(peer), receiverSilenceMs(receiver));
  const patienceMs = suspectAfterMs(ctx);
  if (silentMs >= patienceMs) {
    const text = `Neither ${leader}'s agent nor its replication stream was heard for ${patienceMs} ms.`;
    return suspects('leader-silent', text);
  }
  return { kind: 'trusts' };
}

/**
 * Silence after which this cluster's leader is suspected now. Every failover after the first that turned out to be a false alarm doubles
 * it: overload moves on with the clients, and a change of leader adds to it.
 */
export function suspectAfterMs({ config, record }: ClusterContext): number {
  const factor = Math.min(MOST_PATIENCE, 2 ** Math.max(0, (record.value.unrest ?? 0) - 1));
  return Math.max(config.suspectAfterMs, Math.min(config.suspectAfterMs * factor, config.leaseTtlMs));
}

const suspects = (code: ReasonCode, text: string): Suspicion => ({ kind: 'suspects', reason: reason(code, text) });

/** The leader's own agent speaks: it is believed about its own server. */
function judgeReport(ctx: ClusterContext, { engine, leaving }: LiveState, leader: MemberId): Suspicion {
  const { phase } = ctx.record.value;
  switch (engine.kind) {
    case 'primary':
      return { kind: 'trusts' };
    case 'unresponsive':
      return judgeHung(ctx, engine, leader);
    case 'starting':
    case 'replica': {
      const isOpening = phase === 'promoting' || isFromBeforeOpening(ctx, engine);
      if (isOpening && notOpenForMs(ctx) < PROMOTION_PATIENCE_MS) return { kind: 'trusts' };
      return suspects('leader-not-primary', `${leader}'s agent says that its server is not a primary.`);
    }
    case 'stopped':
      if (isHandingOver(ctx, leader, leaving)) return { kind: 'trusts' };
      return suspects('leader-down', `${leader}'s agent says that its server has stopped.`);
    default:
      return suspects('leader-down', `${leader}'s agent says that its server is ${engine.kind}.`);
  }
}

/**
 * A server that hangs is killed by its own agent, which says so. One that cannot be killed (its processes wait for a disk) would be said to
 * hang for ever. It acknowledges nothing meanwhile, and the seals see to it that it never will.
 */
function judgeHung(ctx: ClusterContext, { was, sinceMs, refusal }: UnresponsiveState, leader: MemberId): Suspicion {
  // A server that answers, and refuses its agent alone, serves its clients: what it sends shows it.
  const sent = receiverSilenceMs(receiverFrom(leader, ctx.obs.engine));
  if (refusal !== undefined && sent < suspectAfterMs(ctx)) return { kind: 'trusts' };
  const hungMs = Math.max(sinceMs, notOpenForMs(ctx));
  const asked = dueHandover(ctx);
  // Chosen and not open yet, or fallen and back: it gets the time that an opening may take.
  const limitMs = was === 'replica' ? PROMOTION_PATIENCE_MS : HUNG_LEADER_MS;
  if (hungMs < limitMs + (asked === null ? 0 : asked.timeoutMs)) return { kind: 'trusts' };
  return suspects('leader-hung', `${leader}'s server has not answered for ${limitMs} ms, and was not stopped either.`);
}

/**
 * Whether a leader's report is older than the record that says it is open: the store can be quicker than its stream. A server that has
 * opened ends on the line that the record allocated to it; a restarted one too.
 */
function isFromBeforeOpening(ctx: ClusterContext, engine: EngineState): boolean {
  return engine.kind === 'replica' && timelineOf(engine.position ?? engine.replayed) !== ctx.record.value.timeline;
}

/** During a planned handover, or when the leader's agent was told to end, a stopped server is what was asked for, for a moment. */
function isHandingOver(ctx: ClusterContext, leader: MemberId, leaving: LiveState['leaving']): boolean {
  if (leaving === 'yes') return notOpenForMs(ctx) < HANDOVER_PATIENCE_MS;
  const request = dueHandover(ctx);
  if (request?.kind !== 'switchover' || (request.from !== null && request.from !== leader)) return false;
  return notOpenForMs(ctx) < HANDOVER_PATIENCE_MS;
}

/** For how long the leader of this epoch has said of itself that it is not open. */
function notOpenForMs(ctx: ClusterContext): number {
  const known = ctx.memory.leaderNotOpenSince;
  return known?.epoch === ctx.record.value.epoch ? ctx.obs.now - known.since : 0;
}

/** The stream from `leader` itself: one from another replica, which may have been fed long ago, says nothing of its life. */
function receiverFrom(leader: MemberId, engine: EngineState): Receiver {
  return engine.kind === 'replica' && engine.upstream === leader ? engine.receiver : { kind: 'none' };
}

function receiverSilenceMs(receiver: Receiver): number {
  return receiver.kind === 'streaming' ? receiver.silentMs : Number.POSITIVE_INFINITY;
}

/** Members that take the present leader for dead: this one if `selfSuspects`, fresh peers that say so, and all that have sealed. */
export function suspecting(ctx: ClusterContext, selfSuspects: 'yes' | 'no'): ReadonlySet<MemberId> {
  const members = new Set<MemberId>(currentSeals(ctx).keys());
  if (selfSuspects === 'yes') members.add(ctx.obs.self);
  for (const member of ctx.obs.peers.keys()) {
    if (freshPeer(ctx, member)?.suspects === ctx.record.value.epoch) members.add(member);
  }
  return members;
}

/** Whether `members` make the seal quorum of the recorded rule; during a change, of anything that the server may count by meanwhile. */
export function isSealQuorum(ctx: ClusterContext, members: ReadonlySet<MemberId>): boolean {
  return sealsSuffice(ctx.record.value, members);
}

export const leaderAlone = (record: LeadershipRecord): string =>
  `Epoch ${record.epoch} was recorded as acknowledging alone: only ${record.leader} itself may open again, or a node that is forced to with \`understudy failover --force\`.`;

export const leaseHolds = (leader: MemberId): string =>
  `In async mode the lease of ${leader} is its only fence, and it has not expired yet.`;
