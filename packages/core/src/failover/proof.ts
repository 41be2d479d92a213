import { type ClusterContext, currentSeals, freshPeer } from '../context.ts';
import { oldLeaseMs } from '../patience.ts';
import { contains, distanceBytes, furthest, type Position, relation, upToTimeline } from '../position/position.ts';
import { elapsedMs, type MemberId } from '../values/brand.ts';
import type { Expectation } from '../values/command.ts';
import { isSealQuorum } from './suspicion.ts';

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
export function mayHoldOldLease({ record, memory, obs, config }: ClusterContext): boolean {
  if (record.value.cause !== 'store-restored') return false;
  const since = memory.sealedSince?.epoch === record.value.epoch ? memory.sealedSince.since : null;
  return since === null || elapsedMs(since, obs.now) < oldLeaseMs(config);
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
