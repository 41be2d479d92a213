import { type Action, type ClusterContext, freshPeer, wait } from '../context.ts';
import { contains, type Position, timelineOf } from '../position/position.ts';
import { formatRule, sameRule } from '../values/ack-rule.ts';
import type { Command } from '../values/command.ts';
import type { EngineState } from '../values/engine-state.ts';
import type { LeadershipRecord, StoreSighting } from '../values/record.ts';
import { type StoreMark, sightingOf } from '../values/store-mark.ts';

/** How a store stands to what was known before. `went-back` names what was seen, as half a sentence about the store. */
export type StorePast =
  | { readonly kind: 'goes-on' }
  | { readonly kind: 'went-back'; readonly cause: StoreFault; readonly text: string };

export type StoreFault = 'record-gone' | 'older-epoch' | 'older-rule' | 'other-store' | 'other-history';

const GOES_ON: StorePast = { kind: 'goes-on' };

/**
 * Whether what a store holds can be what became of what was known. A store is put back from a copy, emptied, or exchanged by
 * people, and then proves nothing: a newer leadership may have acknowledged writes that its record knows nothing of.
 *
 * A newer epoch is believed from any store: nobody who remembers writes to one that went back, but `restore-store`, which begins a new
 * epoch. It must have been built on what was known, unless an operator overrode that since.
 *
 * @param seen what the store holds now; null when it holds no record
 * @param told what the store's history says of the epoch that was known; null: nothing (it did not open)
 */
export function storePast(known: StoreMark | null, seen: StoreMark | null, told: Led | null = null): StorePast {
  if (known === null) return GOES_ON;
  const before = known.record;
  if (seen === null) return wentBack('record-gone', 'holds no leadership record', before);
  const { record } = seen;
  if (record.epoch < before.epoch) return wentBack('older-epoch', `is at epoch ${record.epoch}`, before);
  if (record.epoch > before.epoch) return descends(before, record, told);
  if (!isSameLead(before, record)) {
    return wentBack('other-history', `is at epoch ${record.epoch} of ${record.leader}, which is not`, before);
  }
  if (seen.storeId !== known.storeId) {
    return wentBack('other-store', `is another store (${seen.storeId}, before ${known.storeId})`, before);
  }
  if (seen.revision >= known.revision) return GOES_ON;
  const rule = formatRule(record.nextRule ?? record.rule);
  return wentBack(
    'older-rule',
    `is at revision ${seen.revision} of epoch ${record.epoch} (${rule}), before ${known.revision}`,
    before,
  );
}

/** Who led, on which line: two leaderships of one number differ in it. */
type Led = Pick<LeadershipRecord, 'leader' | 'timeline'>;

const isSameLead = (a: Led, b: Led): boolean => a.leader === b.leader && a.timeline === b.timeline;

function descends(before: LeadershipRecord, after: LeadershipRecord, told: Led | null): StorePast {
  if ((after.overrode ?? 0) > before.epoch) return GOES_ON;
  const built = after.chosenAt;
  const isOther = told !== null && !isSameLead(told, before);
  const isBuiltOn = before.chosenAt === null || (built !== null && contains(built, before.chosenAt));
  if (after.timeline >= before.timeline && isBuiltOn && !isOther) return GOES_ON;
  return wentBack(
    'other-history',
    `is at epoch ${after.epoch} on timeline ${after.timeline}, which was not built on`,
    before,
  );
}

function wentBack(cause: StoreFault, what: string, { epoch, leader, nextRule, rule }: LeadershipRecord): StorePast {
  return { kind: 'went-back', cause, text: `${what} epoch ${epoch} of ${leader} (${formatRule(nextRule ?? rule)})` };
}

/** The newer of two marks; of marks that cannot be compared the first. */
export function newerMark(a: StoreMark | null, b: StoreMark | null): StoreMark | null {
  if (a === null || b === null) return a ?? b;
  return storePast(a, b).kind === 'goes-on' ? b : a;
}

/**
 * Whether `mark` may be written into the data directory. Where nothing stands yet, data of a newer timeline than the record's
 * shows that the store went back: written down, the record would hide that.
 */
export function mayBeNoted(mark: StoreMark, noted: StoreSighting | null, engine: EngineState): boolean {
  return noted !== null || !isOfNewerLine(engine, mark.record);
}

/** What makes a leadership or a rule count: whoever does it has to remember it through a loss of power. */
export const needsNote = ({ kind }: Command): boolean =>
  kind === 'promote' || kind === 'set-ack-rule' || kind === 'follow';

/** Whether `command` is of the leadership, or of a rule, that `known` says: noted is only what was read. */
export function restsOn(command: Command, { record }: StoreMark): boolean {
  if (command.kind === 'promote' || command.kind === 'follow') return command.epoch === record.epoch;
  if (command.kind !== 'set-ack-rule') return true;
  // On the way to nobody, only the leader itself can be elected: it may count by any rule meanwhile (`driveChange`).
  if (record.nextRule?.required === 0) return true;
  return [record.rule, record.nextRule].some((rule) => rule !== null && sameRule(rule, command.rule));
}

/** An operator who forced a restore was told of newer lines, until somebody has been elected beyond them. */
function isOfNewerLine(engine: EngineState, { timeline, overrode, epoch }: LeadershipRecord): boolean {
  const line = lineOf(engine);
  return overrode !== epoch && line !== null && line > timeline;
}

function lineOf(engine: EngineState): number | null {
  const position: Position | null = 'position' in engine ? engine.position : null;
  return position === null ? null : timelineOf(position);
}

/**
 * Why the record of the store proves nothing to this node: then it publishes no seal, elects nobody, opens nothing and gives up no data.
 * Null when there is no doubt. What this node itself has noted is compared before a decision (the view is stale then); here count its own
 * data, and what the others have seen.
 */
export function storeDoubt(ctx: ClusterContext): Action | null {
  return dataDoubt(ctx) ?? doubtElsewhere(ctx);
}

/**
 * Data of a newer line than the record's: of this node, or of one that is heard. Every line was recorded before it began, so the record
 * has gone back; that something was noted here says nothing, as who stays connected receives a new line before its agent reads of it.
 * What somebody opened by hand has no position that counts. Only where agents keep notes: before, histories alone were compared.
 */
function dataDoubt(ctx: ClusterContext): Action | null {
  const { obs, record } = ctx;
  const { epoch, timeline } = record.value;
  const noting = [...obs.peers.keys()].flatMap((member) => {
    const live = freshPeer(ctx, member);
    return live?.seen === undefined ? [] : [[`${member}'s`, live.engine] as const];
  });
  const own = obs.noted === undefined ? [] : [["this node's", obs.engine] as const];
  const newer = [...own, ...noting].find(([, engine]) => isOfNewerLine(engine, record.value));
  if (newer === undefined) return null;
  const [whose, engine] = newer;
  return wait(
    'store-older-than-data',
    `The store is at epoch ${epoch}, timeline ${timeline}; ${whose} data is on timeline ${lineOf(engine)}: the store was put back. ${NEXT_STEP}`,
  );
}

/** The part of it that holds against an operator's word too: whoever has seen more can write it back. */
export function doubtElsewhere(ctx: ClusterContext): Action | null {
  const { record } = ctx;
  const newer = newerElsewhere(ctx);
  if (newer === null) return null;
  return wait(
    'store-older-than-seen',
    `The store is at epoch ${record.value.epoch}; ${newer.by} has seen epoch ${newer.seen.epoch}${newer.seen.epoch === record.value.epoch ? ' with a newer rule or in another store' : ''}: the store was put back. ${NEXT_STEP}`,
  );
}

const NEXT_STEP = 'Nobody is elected on it: run `understudy restore-store --from-members` (docs/store.md).';

interface Sighted {
  readonly by: string;
  readonly seen: StoreSighting;
}

/** Somebody who has seen more than the record says, by seal or by report. */
const newerElsewhere = (ctx: ClusterContext): Sighted | null =>
  peersSeen(ctx).find(({ seen }) => isNewer(seen, ctx)) ?? null;

/** What the others have seen, by seal or by report. */
export function peersSeen(ctx: ClusterContext): readonly Sighted[] {
  const sightings: Sighted[] = [];
  for (const [member, seal] of ctx.content.seals) {
    if (seal.value.seen !== undefined) sightings.push({ by: `${member}'s seal`, seen: seal.value.seen });
  }
  for (const member of ctx.obs.peers.keys()) {
    const seen = freshPeer(ctx, member)?.seen;
    if (seen !== undefined) sightings.push({ by: member, seen });
  }
  return sightings;
}

function isNewer(seen: StoreSighting, { record, content }: ClusterContext): boolean {
  if (seen.epoch !== record.value.epoch) return seen.epoch > record.value.epoch;
  if (content.storeId === undefined) return false;
  return seen.storeId !== content.storeId || seen.revision > record.revision || seen.leader !== record.value.leader;
}

/** What this node's seals and reports say that it has seen. */
export function seenBy(ctx: ClusterContext): { readonly seen?: StoreSighting } {
  const { content, record } = ctx;
  if (content.storeId === undefined) return {};
  return { seen: sightingOf({ storeId: content.storeId, revision: record.revision, record: record.value }) };
}
