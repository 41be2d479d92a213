import { peersSeen } from '../bootstrap/store-past.ts';
import { type ClusterContext, freshPeer } from '../context.ts';
import { type Position, timelineOf } from '../position/position.ts';
import { type Epoch, epoch, nextEpoch } from '../values/brand.ts';
import type { LeadershipRecord } from '../values/record.ts';

/**
 * What begins on an operator's word begins this far beyond everything that is known: whoever slept may have seen leaderships that nobody
 * heard of, and numbers must neither be given twice nor look older than those.
 */
const EPOCHS_LEFT_FREE = 1000;
/** Fewer: PostgreSQL keeps a small file for every number that is passed over. */
const LINES_LEFT_FREE = 64;

/** The epoch that an operator's word begins when `known` is the newest that anybody has heard of. */
export const epochOnWord = (known: Epoch): Epoch => epoch(known + EPOCHS_LEFT_FREE);

/** The numbers of the leadership that this node takes; `word`: it has nothing but an operator's word. */
export function nextNumbers(
  ctx: ClusterContext,
  own: Position,
  word: 'yes' | 'no',
): Pick<LeadershipRecord, 'epoch' | 'timeline' | 'overrode'> {
  const before = ctx.record.value;
  const isFirstAfterRestore = before.cause === 'store-restored' && before.overrode === before.epoch;
  const free = word === 'yes' || isFirstAfterRestore ? LINES_LEFT_FREE : 0;
  const heard = free === 0 ? [] : linesHeard(ctx);
  const timeline = Math.max(before.timeline, timelineOf(own) ?? 0, ...heard) + 1 + free;
  if (word === 'yes') {
    const begun = epochOnWord(epoch(Math.max(before.epoch, ...peersSeen(ctx).map(({ seen }) => seen.epoch))));
    return { epoch: begun, timeline, overrode: begun };
  }
  // What was seen before the last word is no measure of what came after it.
  const carried = before.overrode === undefined ? {} : { overrode: before.overrode };
  return { epoch: nextEpoch(before.epoch), timeline, ...carried };
}

function linesHeard(ctx: ClusterContext): readonly number[] {
  return [...ctx.obs.peers.keys()].flatMap((member) => {
    const engine = freshPeer(ctx, member)?.engine;
    const position = engine !== undefined && 'position' in engine ? engine.position : null;
    return position === null ? [] : [timelineOf(position) ?? 0];
  });
}
