import { type ClusterContext, type Context, freshPeer, peerSilenceMs, tagsOf } from '../context.ts';
import type { MemberId } from '../values/brand.ts';

/**
 * How many acknowledge at most: twice as many as must. Every further one would have to be sealed too before anybody can be elected, so
 * it would only lower what the cluster survives; and `required` of them may go before writes wait.
 */
export const mostAckers = (required: number): number => 2 * required;

/**
 * Why a member that acknowledges could not take part in the next election, or not lead after it: half a sentence; null when it could.
 * What it holds is safe all the same, but a rule that counts on it is a rule that nobody can be elected under.
 */
export function unfitness(ctx: Context, member: MemberId): string | null {
  if (!ctx.content.sessions.has(member)) return 'its agent has no session in the store';
  const engine = member === ctx.obs.self ? ctx.obs.engine : freshPeer(ctx, member)?.engine;
  if (engine?.kind === 'replica' && engine.blocked !== undefined) return `it cannot open: ${engine.blocked}`;
  const silentMs = engine === undefined ? peerSilenceMs(ctx.obs.peers.get(member)) : 0;
  return silentMs >= ctx.config.leaseTtlMs ? 'its agent is not heard' : null;
}

/**
 * Picks up to `limit` of `candidates`, across zones: first those of a zone that neither the leader nor anybody picked is in, then those of
 * the present rule, then by name. The answer stays the same when it becomes the present rule.
 */
export function pickAckers(
  ctx: ClusterContext,
  candidates: readonly MemberId[],
  limit: number,
  picked: readonly MemberId[] = [],
): readonly MemberId[] {
  const chosen = [...picked];
  const left = new Set(candidates.filter((member) => !chosen.includes(member)).toSorted());
  const zones = new Set([ctx.obs.self, ...chosen].map((member) => tagsOf(ctx, member).zone));
  while (chosen.length < limit && left.size > 0) {
    const best = [...left].reduce((a, b) => (costOf(ctx, b, zones) < costOf(ctx, a, zones) ? b : a));
    left.delete(best);
    chosen.push(best);
    zones.add(tagsOf(ctx, best).zone);
  }
  return chosen;
}

function costOf(ctx: ClusterContext, member: MemberId, zones: ReadonlySet<string | null>): number {
  const { zone } = tagsOf(ctx, member);
  const isElsewhere = zone !== null && !zones.has(zone);
  return (isElsewhere ? 0 : 2) + (ctx.record.value.rule.members.includes(member) ? 0 : 1);
}
