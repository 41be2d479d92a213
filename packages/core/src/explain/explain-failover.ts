import { type ClusterContext, configOf, freshPeer, tagsOf } from '../context.ts';
import { type RecoveryPoint, recoveryPoint } from '../durability/recovery-point.ts';
import { elect } from '../failover/election.ts';
import { lastKnownOfLeader } from '../failover/proof.ts';
import { oldLeaseMs } from '../patience.ts';
import { distanceBytes, formatPosition, type Position } from '../position/position.ts';
import { formatRule, sealQuorum } from '../values/ack-rule.ts';
import { addMs, type Incarnation, incarnation, type MemberId, revision } from '../values/brand.ts';
import { EMPTY_MEMORY, type Memory } from '../values/decision.ts';
import type { EngineState, ReplicaState } from '../values/engine-state.ts';
import type { Observation, PeerView, StoreContent, Versioned } from '../values/observation.ts';
import type { ReasonCode } from '../values/reason.ts';
import { type LeadershipRecord, ruleToStop, type Seal } from '../values/record.ts';

/** Whether the members that can be reached now would prove that nothing acknowledged is lost. Positions and members as texts: plain JSON. */
export type ProofOutlook =
  /** `needed` of `of` have to stop acknowledging; `available` could do so now. */
  | {
      readonly kind: 'seals';
      readonly verdict: 'met' | 'missing';
      readonly rule: string;
      readonly needed: number;
      readonly of: readonly string[];
      readonly available: readonly string[];
      readonly missing: readonly string[];
    }
  /** The leader acknowledges alone: no set of others proves anything. */
  | { readonly kind: 'alone'; readonly verdict: 'missing' }
  /** `async`: after the leader's lease has run out, with a loss of up to `lossMaxBytes`. */
  | {
      readonly kind: 'lease';
      readonly verdict: 'met' | 'missing';
      readonly afterMs: number;
      readonly lossMaxBytes: number;
    };

/** How one member would stand in the election. */
export interface CandidateOutlook {
  readonly member: string;
  /** `first` leads; `next` only if those before it do not act; `out` does not lead. */
  readonly standing: 'first' | 'next' | 'out';
  /** The election's own reason for this member, or `unreachable` when it cannot take part. */
  readonly code: ReasonCode | 'unreachable';
  readonly why: string;
  readonly position: string | null;
  /** What it lacks of the leader's last known position, in bytes of log; null when one of them is not known. */
  readonly behindBytes: number | null;
}

/** What would happen if the leader's host vanished now. */
export type FailoverOutlook =
  | { readonly kind: 'unknown'; readonly why: string }
  | {
      readonly kind: 'known';
      readonly epoch: number;
      readonly leader: string;
      /** Who would lead next; null when nobody can. */
      readonly successor: string | null;
      /** `paused`: nothing would happen before an operator resumes; the rest says what would happen then. */
      readonly paused: 'yes' | 'no';
      readonly proof: ProofOutlook;
      readonly candidates: readonly CandidateOutlook[];
      readonly rpo: RecoveryPoint;
    };

/**
 * If the leader died now: who would lead, why not the others, and what would be lost.
 *
 * The answer comes from the election itself, asked once for every member as if the leader had gone silent and everybody who can be
 * reached had sealed where it is; so it cannot drift from what really happens.
 *
 * @param obs what this agent sees now
 * @param memory what it remembers: in `async` the leader's last known position bounds the loss
 */
export function explainFailover(obs: Observation, memory: Memory = EMPTY_MEMORY): FailoverOutlook {
  if (obs.store.kind === 'never') return { kind: 'unknown', why: 'The store was never reached yet.' };
  const { content } = obs.store;
  if (obs.store.kind === 'current' && obs.store.refusesWrites !== undefined) {
    const why = `No failover is possible: the store takes no writes (${obs.store.refusesWrites}).`;
    return { kind: 'unknown', why };
  }
  if (content.record === null) return { kind: 'unknown', why: 'The cluster has no leadership record yet.' };
  const ctx: ClusterContext = { obs, memory, content, config: configOf(content), record: content.record };
  const { leader } = content.record.value;
  const replicas = reachableReplicas(ctx);
  const others = [...content.members.keys()].filter((member) => member !== leader).sort();
  const candidates = others.map((member) => candidateOutlook(ctx, member, replicas));
  return {
    kind: 'known',
    epoch: content.record.value.epoch,
    leader,
    successor: candidates.find((candidate) => candidate.standing === 'first')?.member ?? null,
    paused: content.paused ? 'yes' : 'no',
    proof: proofOutlook(ctx, replicas, candidates),
    candidates: candidates.toSorted((a, b) => ORDER.indexOf(a.standing) - ORDER.indexOf(b.standing)),
    rpo: recoveryPoint(content.record.value, ctx.config, enginesOf(ctx)),
  };
}

const ORDER: readonly CandidateOutlook['standing'][] = ['first', 'next', 'out'];

type Sealable = ReplicaState & { readonly position: Position };

/** A member's engine as it says itself; null when nobody hears it. */
function engineOf(ctx: ClusterContext, member: MemberId): EngineState | null {
  return member === ctx.obs.self ? ctx.obs.engine : (freshPeer(ctx, member)?.engine ?? null);
}

/** Every member's engine that somebody hears. */
function enginesOf(ctx: ClusterContext): ReadonlyMap<MemberId, EngineState> {
  const found = new Map<MemberId, EngineState>([[ctx.obs.self, ctx.obs.engine]]);
  for (const member of ctx.obs.peers.keys()) {
    const engine = engineOf(ctx, member);
    if (engine !== null) found.set(member, engine);
  }
  return found;
}

/** Everybody but the leader who could seal now: reachable, a replica, its log read to the end. */
function reachableReplicas(ctx: ClusterContext): ReadonlyMap<MemberId, Sealable> {
  const found = new Map<MemberId, Sealable>();
  for (const member of [ctx.obs.self, ...ctx.obs.peers.keys()]) {
    const engine = engineOf(ctx, member);
    if (member === ctx.record.value.leader || engine?.kind !== 'replica' || engine.position === null) continue;
    found.set(member, { ...engine, position: engine.position, upstream: null, receiver: { kind: 'none' } });
  }
  return found;
}

function candidateOutlook(
  ctx: ClusterContext,
  member: MemberId,
  replicas: ReadonlyMap<MemberId, Sealable>,
): CandidateOutlook {
  const own = replicas.get(member);
  if (own === undefined) {
    return {
      member,
      standing: 'out',
      code: 'unreachable',
      why: unreachable(ctx, member),
      position: null,
      behindBytes: null,
    };
  }
  const verdict = elect(afterTheLoss(ctx, member, own, replicas));
  const code = verdict?.reason.code ?? 'sealed';
  const end = leaderEnd(ctx);
  return {
    member,
    standing: code === 'elected' ? 'first' : code === 'candidate-waits' || code === 'fast-forwarding' ? 'next' : 'out',
    code,
    why: verdict?.reason.text ?? 'It takes no part in this election.',
    position: formatPosition(own.position),
    behindBytes: end === null ? null : distanceBytes(end, own.position),
  };
}

function unreachable(ctx: ClusterContext, member: MemberId): string {
  const engine = engineOf(ctx, member);
  if (engine === null) {
    const peer = ctx.obs.peers.get(member);
    if (peer === undefined) return 'It has not been heard yet.';
    return peer.kind === 'refusing' ? "Its agent's address refuses connections." : 'Its agent is silent.';
  }
  return engine.kind === 'replica'
    ? 'It is still reading its log, so its end is not known.'
    : `Its server is ${engine.kind}, not a replica.`;
}

function leaderEnd(ctx: ClusterContext): Position | null {
  const engine = engineOf(ctx, ctx.record.value.leader);
  return engine?.kind === 'primary' ? engine.position : lastKnownOfLeader(ctx);
}

/** What `member` would see a moment after the leader's host is gone: silence, everybody else sealed, an expired lease, no request. */
function afterTheLoss(
  ctx: ClusterContext,
  member: MemberId,
  own: Sealable,
  replicas: ReadonlyMap<MemberId, Sealable>,
): ClusterContext {
  const content: StoreContent = {
    ...ctx.content,
    members: new Map([...ctx.content.members].map(([each, known]) => [each, { ...known, tags: tagsOf(ctx, each) }])),

    sessions: new Map([...replicas.keys()].map((each) => [each, { value: NOBODY, revision: revision(0) }])),
    seals: new Map([...replicas].map(([each, engine]) => [each, sealOf(ctx.record.value, engine.position)])),
    request: null,
    paused: false,
  };
  const obs: Observation = {
    ...ctx.obs,
    self: member,
    incarnation: NOBODY,
    tags: tagsOf(ctx, member),
    store: { kind: 'current', content },
    engine: own,
    job: null,
    peers: new Map(
      [ctx.obs.self, ...ctx.obs.peers.keys()]
        .filter((each) => each !== member)
        .map((each) => [each, afterwards(ctx, each, replicas.get(each))]),
    ),
    failures: [],
  };
  // Sealed for as long as any lease can last.
  const sealedSince = { epoch: ctx.record.value.epoch, since: addMs(ctx.obs.now, -oldLeaseMs(ctx.config)) };
  const memory: Memory = { ...EMPTY_MEMORY, leaderPosition: leaderEnd(ctx), sealedSince };
  // Whoever is not first waits: also where the configuration leaves it no time for that.
  const config = { ...ctx.config, electionStaggerMs: Math.max(1, ctx.config.electionStaggerMs) };
  return { obs, memory, content, config, record: ctx.record };
}

const NOBODY: Incarnation = incarnation('explained');

function sealOf(record: LeadershipRecord, position: Position): Versioned<Seal> {
  return { value: { epoch: record.epoch, incarnation: NOBODY, position }, revision: revision(0) };
}

function afterwards(ctx: ClusterContext, member: MemberId, engine: Sealable | undefined): PeerView {
  if (engine === undefined) return { kind: 'silent', last: null, silentMs: ctx.config.suspectAfterMs };
  const { epoch } = ctx.record.value;
  const live = { member, incarnation: NOBODY, epoch, engine, suspects: epoch, leaderPosition: leaderEnd(ctx) };
  return { kind: 'fresh', live, silentMs: 0 };
}

function proofOutlook(
  ctx: ClusterContext,
  replicas: ReadonlyMap<MemberId, Sealable>,
  candidates: readonly CandidateOutlook[],
): ProofOutlook {
  const record = ctx.record.value;
  if (record.durability === 'async') {
    const verdict = candidates.some((candidate) => candidate.standing === 'first') ? 'met' : 'missing';
    const { leaseTtlMs, maxLagOnFailoverBytes } = ctx.config;
    return { kind: 'lease', verdict, afterMs: leaseTtlMs, lossMaxBytes: maxLagOnFailoverBytes };
  }
  const rule = ruleToStop(record);
  if (rule.required === 0) return { kind: 'alone', verdict: 'missing' };
  const needed = sealQuorum(rule);
  const available = rule.members.filter((member) => replicas.has(member));
  return {
    kind: 'seals',
    verdict: available.length >= needed ? 'met' : 'missing',
    rule: formatRule(rule),
    needed,
    of: rule.members,
    available,
    missing: rule.members.filter((member) => !replicas.has(member)),
  };
}
