import { type ClusterContext, freshPeer } from '../context.ts';
import { isCountedOn } from '../durability/acknowledging.ts';
import { contains, distanceBytes, formatPosition, type Position, timelineOf } from '../position/position.ts';
import { elapsedMs, type MemberId } from '../values/brand.ts';
import type { ClusterConfig } from '../values/config.ts';
import type { Memory } from '../values/decision.ts';
import type { ReplicaState } from '../values/engine-state.ts';
import { isFedBy } from './feeding.ts';

/** How long a node does without a stream to get below its wanted upstream, before it goes to the leader. */
const PATIENCE_MS = 5000;
/** How long it then stays there before it tries again. */
const GIVEN_UP_MS = 30_000;

/**
 * From whom a replica is to receive. `under`: from the replica that the configuration names; `applied` is what that one can pass on for
 * certain. `leader`: from the leader; `why` says what keeps it from where it is wanted (half a sentence), null when it is wanted there.
 */
export type FollowTarget =
  | { readonly kind: 'under'; readonly upstream: MemberId; readonly applied: Position }
  | { readonly kind: 'leader'; readonly why: string | null };

/**
 * The replica that `member` is wanted under while `leader` leads; null when it is wanted under the leader itself: it leads, nothing is
 * configured for it, or what is configured names no member or leads back to where it began.
 */
export function wantedUpstream(
  upstreams: ClusterConfig['upstreams'],
  members: { has(member: MemberId): boolean },
  leader: MemberId,
  member: MemberId,
): MemberId | null {
  const wishOf = (of: MemberId): MemberId | null => (Object.hasOwn(upstreams, of) ? (upstreams[of] ?? null) : null);
  const wanted = wishOf(member);
  if (member === leader || wanted === null || wanted === leader || !members.has(wanted)) return null;
  const passed = new Set([member]);
  for (let at: MemberId | null = wanted; at !== null && at !== leader; at = wishOf(at)) {
    if (passed.has(at)) return null;
    passed.add(at);
  }
  return wanted;
}

/** A circle in what members are wanted under, as the names along it with the first again at the end; null when there is none. */
export function circleAmong(upstreams: ClusterConfig['upstreams']): readonly string[] | null {
  for (const start of Object.keys(upstreams)) {
    const passed = [start];
    for (let at = upstreams[start]; at !== undefined; at = Object.hasOwn(upstreams, at) ? upstreams[at] : undefined) {
      passed.push(at);
      if (at === start) return passed;
      if (passed.indexOf(at) < passed.length - 1) break;
    }
  }
  return null;
}

/**
 * Where this node belongs now. Level-triggered: as soon as its wanted upstream is not well it belongs to the leader, and back when it is.
 * Whoever acknowledges, by the recorded rule or the one that is moved to, belongs to the leader: only its own streams count there. So does
 * everybody while too few acknowledge.
 */
export function followTargetOf(ctx: ClusterContext, engine: ReplicaState): FollowTarget {
  const { obs, record, content, memory } = ctx;
  const { leader, phase } = record.value;
  const upstream = wantedUpstream(ctx.config.upstreams, content.members, leader, obs.self);
  if (upstream === null) return { kind: 'leader', why: null };
  const stay = (why: string): FollowTarget => ({ kind: 'leader', why: `wanted under ${upstream}, but ${why}` });
  if (phase !== 'open') return stay(`${leader} has not opened yet`);
  const { rule } = record.value;
  if (rule.members.includes(obs.self) || isCountedOn(record.value, obs.self, null)) {
    return stay('its acknowledgement counts, so it follows the leader');
  }
  if (!hasAcksWithout(ctx)) return stay(`too few others acknowledge for ${leader}`);
  if (memory.cascade?.upstream === upstream && memory.cascade.state === 'given-up') {
    return stay('no stream came about from there; tried again in a while');
  }
  const source = freshPeer(ctx, upstream)?.engine;
  if (source?.kind !== 'replica') return stay(`${upstream} is not a running replica`);
  if (!isFed(ctx, upstream)) return stay(`${upstream} gets no stream that comes from ${leader}`);
  if (compareWithLeader(ctx, source.position ?? source.replayed) !== 'on-history') {
    return stay(`${upstream} is not on ${leader}'s history`);
  }
  const lacksBytes = engine.position === null ? 0 : distanceBytes(engine.position, source.replayed);
  if (lacksBytes > ctx.config.ackerLagBytes) return stay(`${upstream} is ${lacksBytes} bytes behind this node`);
  return { kind: 'under', upstream, applied: source.replayed };
}

/** Whether the members that acknowledge are there and enough, so that the leader can do without this node. */
function hasAcksWithout(ctx: ClusterContext): boolean {
  const { config, record } = ctx;
  if (config.durability === 'async') return true;
  const { leader, rule, nextRule } = record.value;
  const there = (nextRule ?? rule).members.filter((member) => {
    const engine = freshPeer(ctx, member)?.engine;
    return engine?.kind === 'replica' && engine.upstream === leader && engine.receiver.kind === 'streaming';
  });
  return there.length >= config.requiredAcks;
}

/** Whether `member` gets a stream that begins at the leader, by what the members say now. Never by way of this node: that would be a circle. */
export function isFed(ctx: ClusterContext, member: MemberId): boolean {
  return isFedBy(ctx.record.value.leader, member, (at) => {
    const engine = at === ctx.obs.self ? undefined : freshPeer(ctx, at)?.engine;
    return engine?.kind === 'replica' && engine.receiver.kind === 'streaming' ? engine.upstream : null;
  });
}

/** Where a position stands to the history of the recorded leader; `unknown` while that has not opened. */
export function compareWithLeader(ctx: ClusterContext, own: Position): 'on-history' | 'diverged' | 'unknown' {
  const { opened, chosenAt, timeline } = ctx.record.value;
  if (opened !== null) {
    if (contains(opened, own)) return 'on-history';
    return contains(own, opened) && (timelineOf(own) ?? timeline) === timeline ? 'on-history' : 'diverged';
  }
  if (chosenAt !== null && contains(chosenAt, own)) return 'on-history';
  return 'unknown';
}

/**
 * Those of `members` that `leader` should count on: who is wanted under another replica is left to go there, unless too few would
 * remain. Durability comes before the shape of the tree.
 */
export function countedBy(ctx: ClusterContext, leader: MemberId, members: readonly MemberId[]): readonly MemberId[] {
  const direct = wantedBelow(ctx, leader, members);
  return direct.length >= ctx.config.requiredAcks ? direct : members;
}

/**
 * The same for the leader that is: it lets nobody go before enough of the others acknowledge already, so that one rule never takes the
 * place of another that shares nobody with it. Commits would wait for those who have yet to begin.
 */
export function countedNow(ctx: ClusterContext, members: readonly MemberId[]): readonly MemberId[] {
  const direct = wantedBelow(ctx, ctx.obs.self, members);
  const counted = direct.filter((member) => ctx.record.value.rule.members.includes(member));
  return counted.length >= ctx.config.requiredAcks ? direct : members;
}

function wantedBelow({ config, content }: ClusterContext, leader: MemberId, members: readonly MemberId[]) {
  return members.filter((member) => wantedUpstream(config.upstreams, content.members, leader, member) === null);
}

/** What is remembered of the way to another upstream: after a while it has led there or is given up, to be tried again later. */
export function rememberCascade(ctx: ClusterContext): Memory['cascade'] {
  const { obs, memory, config, content, record } = ctx;
  const { cascade } = memory;
  if (cascade === null) return null;
  const wanted = wantedUpstream(config.upstreams, content.members, record.value.leader, obs.self);
  if (cascade.upstream !== wanted) return null;
  const spentMs = elapsedMs(cascade.since, obs.now);
  if (cascade.state === 'given-up') return spentMs < GIVEN_UP_MS ? cascade : null;
  const { engine } = obs;
  // Somewhere else again: whatever it left for, it is not on its way now.
  if (engine.kind === 'replica' && engine.upstream !== null && engine.upstream !== wanted) return null;
  const receiver = engine.kind === 'replica' && engine.upstream === wanted ? engine.receiver : null;
  const isRefused = receiver?.kind === 'broken' && LASTING.has(receiver.cause);
  if (spentMs < PATIENCE_MS && !isRefused) return cascade;
  // Not sooner: a stream that is refused over and over shows itself as one for a moment each time.
  if (receiver?.kind === 'streaming') return null;
  return { upstream: wanted, state: 'given-up', since: obs.now };
}

/** Causes for which a stream from an intermediate does not come by waiting. The leader may well have what it lacks. */
const LASTING: ReadonlySet<string> = new Set(['wal-removed', 'history', 'login']);

/** What a node says that waits until its new upstream can pass on whatever follows its own end. */
export const behindText = (upstream: MemberId, applied: Position, own: Position): string =>
  `${upstream} has applied ${formatPosition(applied)}; this node, which ends at ${formatPosition(own)}, goes on from there as soon as ${upstream} has that too.`;
