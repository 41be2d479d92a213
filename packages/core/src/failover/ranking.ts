import { type ClusterContext, currentSeals, dueHandover, freshPeer, tagsOf } from '../context.ts';
import { namedTargetMs, pendingVotesMs, unheardTargetMs } from '../patience.ts';
import { contains, distanceBytes, type Position, relation } from '../position/position.ts';
import type { MemberId } from '../values/brand.ts';
import type { Proof } from './proof.ts';
import { suspectAfterMs } from './suspicion.ts';

interface Rank {
  /** How many eligible nodes come before this one. */
  readonly ahead: number;
  readonly first: MemberId;
  /** Extra patience because an operator named another node. */
  readonly handoverMs: number;
}

/** By lease alone nothing says who is most advanced: give the others a moment to show what they hold. */
export function votesPendingMs(ctx: ClusterContext, proof: Proof): number {
  if (proof.kind !== 'lease') return 0;
  const seals = currentSeals(ctx);
  const pending = [...ctx.content.members.keys()].some(
    (member) => !seals.has(member) && freshPeer(ctx, member)?.engine.kind === 'replica',
  );
  return pending ? pendingVotesMs(ctx.config) : 0;
}

interface Candidate {
  readonly member: MemberId;
  readonly position: Position;
  /** What it has received and still has to apply before it can open. */
  readonly backlogBytes: number;
}

/** Less than this left to apply is no difference. */
const BACKLOG_BYTES = 64 * 1024;

export function rankOf(ctx: ClusterContext, own: Position, proof: Proof): Rank {
  const wanted = wantedTarget(ctx);
  const backlogBytes = ctx.obs.engine.kind === 'replica' ? distanceBytes(own, ctx.obs.engine.replayed) : 0;
  const candidates = [{ member: ctx.obs.self, position: own, backlogBytes }, ...otherCandidates(ctx, proof)];
  candidates.sort((a, b) => compareCandidates(ctx, wanted, a, b));
  const ahead = candidates.findIndex((candidate) => candidate.member === ctx.obs.self);
  const first = candidates[0]?.member ?? ctx.obs.self;
  if (wanted !== null && ahead > 0 && first === wanted) {
    return { ahead, first, handoverMs: namedTargetMs(ctx.config) };
  }
  if (wanted === null || !mayStillReport(ctx, proof, wanted, candidates)) return { ahead, first, handoverMs: 0 };
  return { ahead, first: wanted, handoverMs: unheardTargetMs(ctx.config) };
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
