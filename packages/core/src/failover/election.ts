import { storeDoubt } from '../bootstrap/store-past.ts';
import {
  type Action,
  act,
  type ClusterContext,
  currentSeals,
  dueHandover,
  freshPeer,
  heldSession,
  missingSession,
  ownReplicaPosition,
  ownSeal,
  tagsOf,
  wait,
} from '../context.ts';
import { mostAckers, pickAckers } from '../durability/eligible-ackers.ts';
import {
  contains,
  distanceBytes,
  formatPosition,
  furthest,
  type Position,
  relation,
  upToTimeline,
} from '../position/position.ts';
import { countedBy } from '../replica/topology.ts';
import { type AckRule, ALONE, ackRule, sealQuorum } from '../values/ack-rule.ts';
import { addMs, elapsedMs, type MemberId } from '../values/brand.ts';
import type { Commit, Expectation } from '../values/command.ts';
import type { LeadershipCause } from '../values/reason.ts';
import { type LeadershipRecord, ruleToStop } from '../values/record.ts';
import { fastForward, fetchesFromSealed } from './fast-forward.ts';
import { nextNumbers } from './next-numbers.ts';
import { isSealQuorum, leaderAlone, leaseHolds, suspectAfterMs } from './suspicion.ts';

/**
 * Why a new leader may be chosen without losing an acknowledged write, and what it must hold.
 * `seals`: enough ackers can acknowledge no more, so every acknowledged write is on one of them.
 * `leader`: the old leader itself has stopped, and holds everything it ever acknowledged.
 * `lease`: `async` only; the leader's lease has expired, and the loss is bounded by configuration.
 */
export interface Proof {
  readonly kind: 'seals' | 'leader' | 'lease' | 'override';
  readonly members: readonly MemberId[];
  /** What the new leader must contain; each of these. */
  readonly base: readonly Position[];
  /** What must still be so when the choice is written. */
  readonly expect: readonly Expectation[];
}

/** Step 3 and 4 of a failover: find a proof, rank those who satisfy it, and take the leadership if this node is first. */
export function elect(ctx: ClusterContext): Action | null {
  const { obs, record, content } = ctx;
  const own = ownReplicaPosition(ctx);
  if (own === null || content.identity?.value.state !== 'founded') return null;
  // Every proof that can be found begins with a seal.
  if (currentSeals(ctx).size === 0) return null;
  const doubt = storeDoubt(ctx);
  if (doubt !== null) return doubt;
  const proof = findProof(ctx, own);
  if (proof === null) return explainNoProof(ctx);
  // Without its own seal a node may still be acknowledging; only the old leader's end makes that irrelevant.
  if (proof.kind !== 'leader' && ownSeal(ctx) === null) return null;
  if (tagsOf(ctx, obs.self).nofailover) {
    return wait('candidate-nofailover', 'This member is tagged nofailover and takes no leadership.');
  }
  const blocked = obs.engine.kind === 'replica' ? obs.engine.blocked : undefined;
  if (blocked !== undefined) {
    return wait('candidate-blocked', `This node cannot open what it has received: ${blocked}.`);
  }
  const lacking = proof.base.find((base) => !contains(own, base));
  if (lacking !== undefined) {
    return (
      fastForward(ctx, own, proof.base) ??
      wait(
        'candidate-behind',
        `This node ends at ${formatPosition(own)}; acknowledged writes may reach ${formatPosition(lacking)}.`,
      )
    );
  }
  const election =
    ctx.memory.election?.epoch === record.value.epoch
      ? ctx.memory.election
      : { epoch: record.value.epoch, since: obs.now };
  const rank = rankOf(ctx, own, proof);
  const patienceMs = rank.ahead * ctx.config.electionStaggerMs + rank.handoverMs + votesPendingMs(ctx, proof);
  if (elapsedMs(election.since, obs.now) < patienceMs) {
    return wait(
      'candidate-waits',
      `${rank.first} comes first; this node acts in ${Math.ceil(patienceMs - elapsedMs(election.since, obs.now))} ms if it does not.`,
      { election },
    );
  }
  if (fetchesFromSealed(ctx)) {
    return act('sealing', 'This node has fetched what it lacked: cutting that stream before it leads.', [
      { kind: 'seal', epoch: record.value.epoch },
    ]);
  }
  return takeLeadership(ctx, own, proof);
}

/** A sealed node says what is still missing. */
function explainNoProof(ctx: ClusterContext): Action | null {
  const { record } = ctx;
  const sealed = currentSeals(ctx);
  if (!sealed.has(ctx.obs.self)) return null;
  if (record.value.durability === 'async') return explainNoLeaseProof(ctx);
  const rule = ruleToStop(record.value);
  if (rule.required === 0) return wait('leader-alone', leaderAlone(record.value));
  const missing = rule.members.filter((member) => !sealed.has(member));
  if (isSealQuorum(ctx, new Set(sealed.keys()))) {
    const ends = [...sealed].map(([member, seal]) => `${member} ends at ${formatPosition(seal.value.position)}`);
    return wait(
      'seals-contradict',
      `Enough members are sealed, but what they hold contradicts each other: ${ends.join('; ')}. Accept the loss of what one of them holds with \`understudy failover --force\`.`,
    );
  }
  return wait(
    'seal-quorum-missing',
    `${sealQuorum(rule)} of (${rule.members.join(', ')}) must be sealed; ${missing.join(', ') || 'none'} missing. Start that node, or accept the loss with \`understudy failover --force\`.`,
  );
}

function explainNoLeaseProof(ctx: ClusterContext): Action {
  const { leader } = ctx.record.value;
  if (ctx.content.sessions.has(leader)) return wait('lease-not-expired', leaseHolds(leader));
  if (mayHoldOldLease(ctx)) {
    const sealedSince = ctx.memory.sealedSince ?? { epoch: ctx.record.value.epoch, since: ctx.obs.now };
    const text = `The store was restored, and ${leader} may still hold the lease that it had before; this node waits twice ${ctx.config.leaseTtlMs} ms.`;
    return wait('lease-not-expired', text, { sealedSince });
  }
  const own = ownReplicaPosition(ctx);
  const known = lastKnownOfLeader(ctx);
  if (own === null || known === null) {
    return wait('leader-position-unknown', `Nobody saw how far ${leader} had come, so the loss cannot be bounded.`);
  }
  const lag =
    relation(own, known) === 'diverged'
      ? `is on another history than ${leader} was`
      : `lacks ${distanceBytes(known, own)} bytes of what ${leader} had`;
  return wait('candidate-behind', `This node ${lag} (limit ${ctx.config.maxLagOnFailoverBytes} bytes).`);
}

/** A proof at hand that the leader of this epoch can acknowledge nothing more; one that `own` satisfies if there is such a one. */
export function findProof(ctx: ClusterContext, own: Position): Proof | null {
  const proofs = [leaderProof(ctx), sealProof(ctx), leaseProof(ctx)].filter((proof) => proof !== null);
  return proofs.find((proof) => proof.base.every((base) => contains(own, base))) ?? proofs[0] ?? null;
}

/** What every later leader must hold, whatever was sealed since: the base that this epoch itself was built on. */
function epochBase(ctx: ClusterContext): readonly Position[] {
  const { chosenAt, floor } = ctx.record.value;
  const built = chosenAt === null ? [] : [chosenAt];
  return floor === undefined ? built : [...built, floor];
}

function sealProof(ctx: ClusterContext): Proof | null {
  const { rule, nextRule } = ctx.record.value;
  const seals = [...currentSeals(ctx)].filter(
    ([member]) => rule.members.includes(member) || nextRule?.members.includes(member),
  );
  const members = seals.map(([member]) => member);
  if (!isSealQuorum(ctx, new Set(members))) return null;
  // The furthest of any quorum suffices; asking for the furthest of all sealed ones that still run loses less.
  const running = seals.filter(([member]) => member === ctx.obs.self || freshPeer(ctx, member) !== null);
  const counted = isSealQuorum(ctx, new Set(running.map(([member]) => member))) ? running : seals;
  const base = acknowledgedAmong(
    ctx,
    counted.map(([, seal]) => seal.value.position),
  );
  if (base === null) return null;
  return {
    kind: 'seals',
    members: counted.map(([member]) => member),
    base: [...base, ...epochBase(ctx)],
    expect: counted.map(([member, seal]) => ({ key: `seals/${member}`, is: seal.revision }) satisfies Expectation),
  };
}

/**
 * What of this leadership may have been acknowledged, by the positions of a seal quorum: the furthest of what they hold of its own
 * timeline. A sealed node whose history does not go through it (an old leader with a tail of its own, not yet rewound) can
 * hold nothing of it: it counts as stopped, and says nothing about how far the acknowledged writes go. Null when they contradict
 * each other.
 */
function acknowledgedAmong(ctx: ClusterContext, positions: readonly Position[]): readonly Position[] | null {
  const { timeline, chosenAt } = ctx.record.value;
  const held =
    chosenAt === null
      ? positions
      : positions.map((position) => upToTimeline(position, timeline)).filter((position) => position !== null);
  if (held.length === 0) return [];
  const end = furthest(held);
  return end === null ? null : [end];
}

function leaderProof(ctx: ClusterContext): Proof | null {
  const { leader } = ctx.record.value;
  const seal = currentSeals(ctx).get(leader);
  if (seal === undefined) return null;
  return {
    kind: 'leader',
    members: [leader],
    base: [seal.value.position, ...epochBase(ctx)],
    expect: [{ key: `seals/${leader}`, is: seal.revision }],
  };
}

function leaseProof(ctx: ClusterContext): Proof | null {
  const { leader, durability } = ctx.record.value;
  if (durability !== 'async' || ctx.content.sessions.has(leader) || mayHoldOldLease(ctx)) return null;
  const own = currentSeals(ctx).get(ctx.obs.self);
  const known = lastKnownOfLeader(ctx);
  if (own === undefined || known === null) return null;
  const end = own.value.position;
  if (relation(end, known) === 'diverged') return null;
  if (distanceBytes(known, end) > ctx.config.maxLagOnFailoverBytes) return null;
  return {
    kind: 'lease',
    members: [...currentSeals(ctx).keys()],
    base: epochBase(ctx),
    expect: [
      { key: `sessions/${leader}`, is: 'absent' },
      { key: `seals/${ctx.obs.self}`, is: own.revision },
    ],
  };
}

/**
 * A restore writes no sessions, so that of a living leader is absent until it begins one anew, while the lease that it had in the store
 * before may still hold. Renewed for the last time before the restore, it has run out when this node was sealed in the epoch of the
 * restore for longer than a lease lasts; twice, because a store may grant more than was asked for.
 */
function mayHoldOldLease({ record, memory, obs, config }: ClusterContext): boolean {
  if (record.value.cause !== 'store-restored') return false;
  const since = memory.sealedSince?.epoch === record.value.epoch ? memory.sealedSince.since : null;
  return since === null || elapsedMs(since, obs.now) < 2 * config.leaseTtlMs;
}

/** The leader's last position that anybody still running has seen. */
export function lastKnownOfLeader(ctx: ClusterContext): Position | null {
  const { opened } = ctx.record.value;
  const sightings = [...ctx.obs.peers.keys()].map((member) => freshPeer(ctx, member)?.leaderPosition ?? null);
  const seen = [ctx.memory.leaderPosition, ...sightings]
    .filter((position) => position !== null)
    // A sighting of an earlier leader's lost tail says nothing about this one.
    .filter((position) => opened === null || contains(position, opened));
  return seen.reduce<Position | null>((best, each) => (best === null || contains(each, best) ? each : best), null);
}

interface Rank {
  /** How many eligible nodes come before this one. */
  readonly ahead: number;
  readonly first: MemberId;
  /** Extra patience because an operator named another node. */
  readonly handoverMs: number;
}

/** By lease alone nothing says who is most advanced: give the others a moment to show what they hold. */
function votesPendingMs(ctx: ClusterContext, proof: Proof): number {
  if (proof.kind !== 'lease') return 0;
  const seals = currentSeals(ctx);
  const pending = [...ctx.content.members.keys()].some(
    (member) => !seals.has(member) && freshPeer(ctx, member)?.engine.kind === 'replica',
  );
  return pending ? 2 * ctx.config.electionStaggerMs : 0;
}

interface Candidate {
  readonly member: MemberId;
  readonly position: Position;
  /** What it has received and still has to apply before it can open. */
  readonly backlogBytes: number;
}

/** Less than this left to apply is no difference. */
const BACKLOG_BYTES = 64 * 1024;

function rankOf(ctx: ClusterContext, own: Position, proof: Proof): Rank {
  const wanted = wantedTarget(ctx);
  const backlogBytes = ctx.obs.engine.kind === 'replica' ? distanceBytes(own, ctx.obs.engine.replayed) : 0;
  const candidates = [{ member: ctx.obs.self, position: own, backlogBytes }, ...otherCandidates(ctx, proof)];
  candidates.sort((a, b) => compareCandidates(ctx, wanted, a, b));
  const ahead = candidates.findIndex((candidate) => candidate.member === ctx.obs.self);
  const first = candidates[0]?.member ?? ctx.obs.self;
  if (wanted !== null && ahead > 0 && first === wanted) {
    return { ahead, first, handoverMs: ctx.config.switchoverTimeoutMs / 2 };
  }
  if (wanted === null || !mayStillReport(ctx, proof, wanted, candidates)) return { ahead, first, handoverMs: 0 };
  return { ahead, first: wanted, handoverMs: ctx.config.switchoverTimeoutMs / 4 };
}

/** After a handover every connected replica holds the end, but the report that says so of the wanted one may still be on its way. */
function mayStillReport(
  ctx: ClusterContext,
  proof: Proof,
  wanted: MemberId,
  candidates: readonly Candidate[],
): boolean {
  if (proof.kind !== 'leader' || candidates.some(({ member }) => member === wanted)) return false;
  if (tagsOf(ctx, wanted).nofailover) return false;
  const live = freshPeer(ctx, wanted);
  if (live === null) return isNewAndUnheard(ctx, wanted) || isBarelySilent(ctx, wanted);
  if (live.leaving === 'yes') return false;
  // Its agent may be looking for the first time, or its server be slow to answer that look.
  if (live.engine.kind === 'starting' || live.engine.kind === 'unresponsive') return true;
  return live.engine.kind === 'replica' && live.engine.blocked === undefined;
}

/** The leader heard it before it stopped; silence by which no leader would be suspected says nothing against it either. */
function isBarelySilent(ctx: ClusterContext, member: MemberId): boolean {
  const peer = ctx.obs.peers.get(member);
  return peer?.kind === 'silent' && ctx.content.sessions.has(member) && peer.silentMs < suspectAfterMs(ctx);
}

/** An agent that was just started: the leader heard it before it stopped, and the connection to it from here is still to come. */
function isNewAndUnheard(ctx: ClusterContext, member: MemberId): boolean {
  const session = ctx.content.sessions.get(member)?.value;
  const peer = ctx.obs.peers.get(member);
  if (session === undefined || peer?.kind === 'fresh') return false;
  return peer?.last?.incarnation !== session;
}

/** The node that a pending request names, if any. */
function wantedTarget(ctx: ClusterContext): MemberId | null {
  return dueHandover(ctx)?.to ?? null;
}

/** Others that could lead under this proof: sealed ones by their seal; after a handover also followers by what they report. */
function otherCandidates(ctx: ClusterContext, proof: Proof): readonly Candidate[] {
  const found: Candidate[] = [];
  for (const member of ctx.content.members.keys()) {
    if (member === ctx.obs.self || tagsOf(ctx, member).nofailover) continue;
    const live = freshPeer(ctx, member);
    if (live?.engine.kind !== 'replica' || live.leaving === 'yes' || live.engine.blocked !== undefined) continue;
    const sealed = currentSeals(ctx).get(member)?.value.position;
    const position = sealed ?? (proof.kind === 'leader' ? live.engine.position : null);
    if (position === null || !proof.base.every((base) => contains(position, base))) continue;
    const end = live.engine.position ?? position;
    found.push({ member, position, backlogBytes: distanceBytes(end, live.engine.replayed) });
  }
  return found;
}

/** Most advanced first; an operator's choice, then what is left to apply, priority and name only among equals. All of them satisfy the proof. */
function compareCandidates(ctx: ClusterContext, wanted: MemberId | null, a: Candidate, b: Candidate): number {
  if (a.member === wanted || b.member === wanted) return a.member === wanted ? -1 : 1;
  // Whoever is asked to hand over comes last, for the case that nobody else takes it.
  const leaving = dueHandover(ctx)?.kind === 'switchover' ? ctx.record.value.leader : null;
  if (a.member === leaving || b.member === leaving) return a.member === leaving ? 1 : -1;
  const ahead = relation(a.position, b.position);
  if (ahead === 'ahead') return -1;
  if (ahead === 'behind') return 1;
  const backlog = Math.trunc(a.backlogBytes / BACKLOG_BYTES) - Math.trunc(b.backlogBytes / BACKLOG_BYTES);
  if (backlog !== 0) return backlog;
  const priority = tagsOf(ctx, b.member).priority - tagsOf(ctx, a.member).priority;
  if (priority !== 0) return priority;
  const applied = Number(a.backlogBytes > 0) - Number(b.backlogBytes > 0);
  return applied !== 0 ? applied : a.member < b.member ? -1 : 1;
}

/** Writes the next epoch with this node as its leader, and promotes while that is fresh. */
export function takeLeadership(ctx: ClusterContext, own: Position, proof: Proof): Action {
  const { obs, record } = ctx;
  const session = heldSession(ctx);
  if (session === null) return missingSession();
  const rule = firstRule(ctx, own);

  const next: LeadershipRecord = {
    ...nextNumbers(ctx, own, proof.kind === 'override' ? 'yes' : 'no'),
    leader: obs.self,
    incarnation: obs.incarnation,
    phase: 'promoting',
    rule,
    nextRule: null,
    chosenAt: own,
    opened: null,
    durability: ctx.config.durability,
    cause: causeOf(ctx, proof),
    ...carriedOn(ctx, proof),
  };
  const commit: Commit = {
    kind: 'commit',
    purpose: 'take leadership',
    expect: [
      { key: 'record', is: record.revision },
      { key: `sessions/${obs.self}`, is: session.revision },
      ...proof.expect,
    ],
    put: [{ key: 'record', value: next }],
  };
  return act(
    'elected',
    `Chosen for epoch ${next.epoch} at ${formatPosition(own)}; proof: ${proof.kind} (${proof.members.join(', ')}).`,
    [
      commit,
      {
        kind: 'promote',
        epoch: next.epoch,
        timeline: next.timeline,
        rule,
        notAfter: addMs(obs.now, ctx.config.leaseTtlMs / 2),
      },
    ],
    { election: null, sealedSince: null, promotingSince: { epoch: next.epoch, since: obs.now } },
  );
}

/** What the next record says of how restless the cluster is. */
function carriedOn(ctx: ClusterContext, proof: Proof): Pick<LeadershipRecord, 'unrest' | 'lostBySilence'> {
  const { unrest, leader, incarnation } = ctx.record.value;
  const isSilent = proof.kind === 'seals' && ctx.obs.peers.get(leader)?.kind === 'silent' && dueHandover(ctx) === null;
  return { ...(unrest === undefined ? {} : { unrest }), ...(isSilent ? { lostBySilence: incarnation } : {}) };
}

function causeOf(ctx: ClusterContext, proof: Proof): LeadershipCause {
  const request = dueHandover(ctx);
  if (proof.kind === 'override') return 'operator-override';
  if (request?.kind === 'switchover' && proof.kind === 'leader') return 'switchover';
  if (request?.kind === 'failover') return 'operator-failover';
  const { leader } = ctx.record.value;
  const planned = proof.kind === 'leader' && currentSeals(ctx).get(leader)?.value.planned === 'yes';
  if (planned && leader !== ctx.obs.self) return 'planned-stop';
  return proof.kind === 'leader' ? 'leader-restarted' : proof.kind === 'lease' ? 'lease-expired' : 'leader-lost';
}

/**
 * Who acknowledges for a new leader from its first write on. It is written with the leadership itself, before the server opens, so
 * there is no moment in which anything is acknowledged by a rule that the record does not know (C14).
 */
function firstRule(ctx: ClusterContext, own: Position): AckRule {
  const { config, content, obs } = ctx;
  if (config.durability === 'async') return ALONE;
  const eligible = [...content.members.keys()].filter((member) => {
    const tags = tagsOf(ctx, member);
    return member !== obs.self && !tags.nosync && !tags.nofailover;
  });
  const ready = eligible.filter((member) => {
    const live = freshPeer(ctx, member);
    if (live?.engine.kind !== 'replica' || live.engine.blocked !== undefined || live.leaving === 'yes') return false;
    return live.engine.position !== null && contains(own, live.engine.position);
  });
  if (ready.length >= config.requiredAcks) {
    const chosen = pickAckers(ctx, countedBy(ctx, obs.self, ready), mostAckers(config.requiredAcks));
    return ackRule(chosen, config.requiredAcks);
  }
  if (config.whenShort === 'degrade') return ackRule(ready, config.requiredAcks);
  const stay = eligible.length >= config.requiredAcks ? eligible : [...ready, ...eligible];
  return ackRule(stay, config.requiredAcks);
}
