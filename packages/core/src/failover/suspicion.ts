import { currentSeals, dueHandover, freshPeer, type LedTurn, peerSilenceMs, reason } from '../context.ts';
import { timelineOf } from '../position/position.ts';
import type { MemberId } from '../values/brand.ts';
import type { EngineState, Receiver } from '../values/engine-state.ts';
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
export function suspicion(turn: LedTurn): Suspicion {
  const { obs, record } = turn;
  const leader = record.value.leader;
  if (leader === obs.self) return { kind: 'trusts' };
  const request = turn.content.request?.value;
  const asked = request?.kind === 'failover' && request.proof === 'quorum' && request.to !== leader;
  // A leader that is only about to open closes the request itself when it does.
  if (asked && record.value.phase === 'open') {
    return suspects('operator-failover', `An operator asked to replace ${leader}.`);
  }
  const peer = obs.peers.get(leader);
  if (peer?.kind === 'fresh') return judgeReport(turn, peer.live, leader);
  const receiver = receiverFrom(leader, obs.engine);
  if (peer?.kind === 'refusing' && peer.forMs >= REFUSED_FOR_MS && receiver.kind !== 'streaming') {
    return suspects('leader-gone', `${leader}'s address refuses connections and its replication stream has ended.`);
  }
  const silentMs = Math.min(peerSilenceMs(peer), receiverSilenceMs(receiver));
  const patienceMs = suspectAfterMs(turn);
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
export function suspectAfterMs({ config, record }: LedTurn): number {
  const factor = Math.min(MOST_PATIENCE, 2 ** Math.max(0, (record.value.unrest ?? 0) - 1));
  return Math.max(config.suspectAfterMs, Math.min(config.suspectAfterMs * factor, config.leaseTtlMs));
}

const suspects = (code: ReasonCode, text: string): Suspicion => ({ kind: 'suspects', reason: reason(code, text) });

/** The leader's own agent speaks: it is believed about its own server. */
function judgeReport(turn: LedTurn, { engine, leaving }: LiveState, leader: MemberId): Suspicion {
  const { phase } = turn.record.value;
  switch (engine.kind) {
    case 'primary':
      return { kind: 'trusts' };
    case 'unresponsive':
      return judgeHung(turn, engine, leader);
    case 'starting':
    case 'replica': {
      const isOpening = phase === 'promoting' || isFromBeforeOpening(turn, engine);
      if (isOpening && notOpenForMs(turn) < PROMOTION_PATIENCE_MS) return { kind: 'trusts' };
      return suspects('leader-not-primary', `${leader}'s agent says that its server is not a primary.`);
    }
    case 'stopped':
      if (isHandingOver(turn, leader, leaving)) return { kind: 'trusts' };
      return suspects('leader-down', `${leader}'s agent says that its server has stopped.`);
    default:
      return suspects('leader-down', `${leader}'s agent says that its server is ${engine.kind}.`);
  }
}

/**
 * A server that hangs is killed by its own agent, which says so. One that cannot be killed (its processes wait for a disk) would be said to
 * hang for ever. It acknowledges nothing meanwhile, and the seals see to it that it never will.
 */
function judgeHung(
  turn: LedTurn,
  { was, sinceMs, refusal }: Extract<EngineState, { kind: 'unresponsive' }>,
  leader: MemberId,
): Suspicion {
  // A server that answers, and refuses its agent alone, serves its clients: what it sends shows it.
  const sent = receiverSilenceMs(receiverFrom(leader, turn.obs.engine));
  if (refusal !== undefined && sent < suspectAfterMs(turn)) return { kind: 'trusts' };
  const hungMs = Math.max(sinceMs, notOpenForMs(turn));
  const asked = dueHandover(turn);
  // Chosen and not open yet, or fallen and back: it gets the time that an opening may take.
  const limitMs = was === 'replica' ? PROMOTION_PATIENCE_MS : HUNG_LEADER_MS;
  if (hungMs < limitMs + (asked === null ? 0 : asked.timeoutMs)) return { kind: 'trusts' };
  return suspects('leader-hung', `${leader}'s server has not answered for ${limitMs} ms, and was not stopped either.`);
}

/**
 * Whether a leader's report is older than the record that says it is open: the store can be quicker than its stream. A server that has
 * opened ends on the line that the record allocated to it; a restarted one too.
 */
function isFromBeforeOpening(turn: LedTurn, engine: EngineState): boolean {
  return engine.kind === 'replica' && timelineOf(engine.position ?? engine.replayed) !== turn.record.value.timeline;
}

/** During a planned handover, or when the leader's agent was told to end, a stopped server is what was asked for, for a moment. */
function isHandingOver(turn: LedTurn, leader: MemberId, leaving: LiveState['leaving']): boolean {
  if (leaving === 'yes') return notOpenForMs(turn) < HANDOVER_PATIENCE_MS;
  const request = dueHandover(turn);
  if (request?.kind !== 'switchover' || (request.from !== null && request.from !== leader)) return false;
  return notOpenForMs(turn) < HANDOVER_PATIENCE_MS;
}

/** For how long the leader of this epoch has said of itself that it is not open. */
function notOpenForMs(turn: LedTurn): number {
  const known = turn.memory.leaderNotOpenSince;
  return known?.epoch === turn.record.value.epoch ? turn.obs.now - known.since : 0;
}

/** The stream from `leader` itself: one from another replica, which may have been fed long ago, says nothing of its life. */
function receiverFrom(leader: MemberId, engine: EngineState): Receiver {
  return engine.kind === 'replica' && engine.upstream === leader ? engine.receiver : { kind: 'none' };
}

function receiverSilenceMs(receiver: Receiver): number {
  return receiver.kind === 'streaming' ? receiver.silentMs : Number.POSITIVE_INFINITY;
}

/** Members that take the present leader for dead: this one if `selfSuspects`, fresh peers that say so, and all that have sealed. */
export function suspecting(turn: LedTurn, selfSuspects: 'yes' | 'no'): ReadonlySet<MemberId> {
  const members = new Set<MemberId>(currentSeals(turn).keys());
  if (selfSuspects === 'yes') members.add(turn.obs.self);
  for (const member of turn.obs.peers.keys()) {
    if (freshPeer(turn, member)?.suspects === turn.record.value.epoch) members.add(member);
  }
  return members;
}

/** Whether `members` make the seal quorum of the recorded rule; during a change, of anything that the server may count by meanwhile. */
export function isSealQuorum(turn: LedTurn, members: ReadonlySet<MemberId>): boolean {
  return sealsSuffice(turn.record.value, members);
}

export const leaderAlone = (record: LeadershipRecord): string =>
  `Epoch ${record.epoch} was recorded as acknowledging alone: only ${record.leader} itself may open again, or a node that is forced to with \`understudy failover --force\`.`;

export const leaseHolds = (leader: MemberId): string =>
  `In async mode the lease of ${leader} is its only fence, and it has not expired yet.`;
