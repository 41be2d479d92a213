import { type Action, act, type ClusterContext, currentSeals, freshPeer, ownSeal, tagsOf, wait } from '../context.ts';
import { contains, formatPosition, type Position } from '../position/position.ts';
import { elapsedMs, type MemberId } from '../values/brand.ts';
import type { Memory } from '../values/decision.ts';

/** How long the furthest node may take to lead itself before the others fetch what they lack from it. */
const FURTHEST_MS = 3000;

/**
 * What a sealed node does that lacks something of what the next leader must hold: it fetches that from a sealed node which has it, and
 * leads then. At once when that one cannot lead, otherwise when it has had its time. Null when nobody has it.
 *
 * This node stays sealed meanwhile. A seal promises that its member acknowledges nothing to the leader any more, and that it holds
 * at least the published position. Whoever receives from a replica is not counted by the leader, and only gains.
 */
export function fastForward(ctx: ClusterContext, own: Position, base: readonly Position[]): Action | null {
  const { obs, record } = ctx;
  if (ownSeal(ctx) === null || obs.engine.kind !== 'replica') return null;
  const election =
    ctx.memory.election?.epoch === record.value.epoch
      ? ctx.memory.election
      : ({ epoch: record.value.epoch, since: obs.now } satisfies Memory['election']);
  const source = sourceFor(ctx, own, base);
  if (source === null) return null;
  const { member, why, position } = source;
  if (obs.engine.upstream === member) {
    return wait(
      'fast-forwarding',
      `Fetching from ${member} what is missing up to ${formatPosition(position)}: ${why}.`,
    );
  }
  if (fetchesFromSealed(ctx)) {
    const text = `${obs.engine.upstream} has nothing more to give; ${member} has.`;
    return act('fast-forwarding', text, [{ kind: 'seal', epoch: record.value.epoch }], { election });
  }
  // Whatever else is still connected is cut first, as of any sealed node.
  if (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming') return null;
  const spentMs = elapsedMs(election.since, obs.now);
  if (source.may === 'lead' && spentMs < FURTHEST_MS)
    return wait('candidate-behind', behindText(own, position), { election });
  const text = `${behindText(own, position)} Fetching that from ${member}, which is sealed too: ${why}.`;
  return act('fast-forwarding', text, [{ kind: 'follow', upstream: member, epoch: record.value.epoch }], { election });
}

const behindText = (own: Position, needed: Position): string =>
  `This node ends at ${formatPosition(own)}; acknowledged writes may reach ${formatPosition(needed)}.`;

interface Source {
  readonly member: MemberId;
  readonly position: Position;
  /** Whether it could take the leadership by itself. */
  readonly may: 'lead' | 'not-lead';
  readonly why: string;
}

/** A sealed member that holds all of `base`, and everything that this node holds. */
function sourceFor(ctx: ClusterContext, own: Position, base: readonly Position[]): Source | null {
  for (const [member, seal] of currentSeals(ctx)) {
    const { position } = seal.value;
    const engine = freshPeer(ctx, member)?.engine;
    if (member === ctx.obs.self || member === ctx.record.value.leader || engine?.kind !== 'replica') continue;
    // A replica of sets passes on what it has applied, one of a log what it has received.
    const sends = position.kind === 'gtid' ? engine.replayed : position;
    if (!contains(sends, own) || !base.every((each) => contains(position, each))) continue;
    if (engine.blocked !== undefined)
      return { member, position, may: 'not-lead', why: `it cannot open: ${engine.blocked}` };
    if (tagsOf(ctx, member).nofailover) return { member, position, may: 'not-lead', why: 'it is tagged nofailover' };
    return { member, position, may: 'lead', why: 'it has not taken the leadership in time' };
  }
  return null;
}

/** Whether this sealed node receives from another node that is sealed for the same epoch, which does not end its seal. */
export function fetchesFromSealed(ctx: ClusterContext): boolean {
  const { engine } = ctx.obs;
  const { leader } = ctx.record.value;
  if (engine.kind !== 'replica' || engine.upstream === null || engine.upstream === leader) return false;
  return currentSeals(ctx).has(engine.upstream);
}
