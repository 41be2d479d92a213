import { epochOnWord } from '../failover/next-numbers.ts';
import { timelineOf } from '../position/position.ts';
import { formatRule } from '../values/ack-rule.ts';
import { type Epoch, type MemberId, nextEpoch } from '../values/brand.ts';
import type { EngineState } from '../values/engine-state.ts';
import type { LiveState } from '../values/observation.ts';
import type { HistoryEntry, LeadershipRecord, StoreSighting } from '../values/record.ts';
import type { StoreMark } from '../values/store-mark.ts';

/** What is known when an operator asks one agent to write the leadership back into a store that went back. */
export interface RestoreView {
  readonly self: MemberId;
  /** The newest leadership that this agent knows. */
  readonly known: StoreMark;
  readonly engine: EngineState;
  /** Everybody who belongs to the cluster, as far as this agent knows. */
  readonly members: Iterable<MemberId>;
  /** What the others say now; nobody who is silent. */
  readonly heard: ReadonlyMap<MemberId, LiveState>;
  /** The epoch that the store holds now; null: none. */
  readonly storeEpoch: Epoch | null;
  /** An operator accepts what is named: then this agent does it, whoever else might. */
  readonly force?: 'yes' | 'no';
  readonly wallMs: number;
}

export type RestorePlan =
  /** Not by this agent; `by` names the one to ask. */
  | { readonly kind: 'elsewhere'; readonly by: MemberId; readonly text: string }
  | {
      readonly kind: 'ready';
      readonly record: LeadershipRecord;
      readonly history: HistoryEntry;
      readonly summary: string;
      readonly missing: readonly MemberId[];
      /** What could be lost, a sentence each; none: what is written back is proven to be the newest. */
      readonly losses: readonly string[];
    };

/**
 * What to write back. The leadership goes on as it was known, under a new epoch: everybody believes that, whatever store they had seen
 * before. It is the newest for certain when the open primary says so (its ackers still answer to it, so nobody was elected), or when
 * everybody was heard: every leader notes its leadership and its rules before it uses them. Who acknowledges notes the leadership that it
 * follows, and not the rule: it may acknowledge by one that it has not read.
 */
export function planRestore(view: RestoreView): RestorePlan {
  const { self, known, engine } = view;
  const leads = engine.kind === 'primary' && known.record.leader === self;
  const sendsOn = !leads && view.force !== 'yes';
  const { leader } = known.record;
  if (sendsOn && view.heard.get(leader)?.engine.kind === 'primary') {
    return { kind: 'elsewhere', by: leader, text: `${leader} is an open primary: its agent has to restore.` };
  }
  const rival = rivalOf(view);
  if (rival !== null) return rival;
  const newer = newestOf(view);
  if (sendsOn && newer !== null) {
    const text = `${newer.by} has seen epoch ${newer.epoch}, ${self} only ${known.record.epoch}: its agent has to restore.`;
    return { kind: 'elsewhere', by: newer.by, text };
  }
  const missing = leads ? [] : everybody(view).filter((member) => member !== self && !view.heard.has(member));
  const losses = [
    ...missing.map((member) => lossBy(member, known.record)),
    ...(leads ? [] : newerLines(view)),
    ...otherPrimaries(view),
    ...newerInStore(view),
    ...rivalsWithoutData(view),
    ...(newer === null
      ? []
      : [`${newer.by} has seen epoch ${newer.epoch}: what was acknowledged in it would be lost.`]),
  ];
  return { kind: 'ready', ...written(view, losses.length > 0), missing, losses };
}

/** The member that has seen more than this one, if there is one. */
function newestOf({ known, heard }: RestoreView): { readonly by: MemberId; readonly epoch: Epoch } | null {
  let newest: { readonly by: MemberId; readonly epoch: Epoch; readonly revision: number } | null = null;
  for (const [by, { seen }] of heard) {
    if (seen === undefined) continue;
    const { epoch, revision } = seen;
    const than: { readonly epoch: Epoch; readonly revision: number } = newest ?? {
      epoch: known.record.epoch,
      revision: known.revision,
    };
    const isSame = seen.storeId === known.storeId && seen.leader === known.record.leader;
    if (epoch > than.epoch || (epoch === than.epoch && isSame && revision > than.revision)) {
      newest = { by, epoch, revision };
    }
  }
  return newest;
}

/**
 * Somebody who has seen another leader of the same epoch: one that the old copy of the store let in. Its history has the numbers of the
 * real one, so nothing can tell them apart afterwards: its data has to go first, also by force. Who has no data any more has no history.
 */
function rivalOf(view: RestoreView): RestorePlan | null {
  const { epoch, leader } = view.known.record;
  for (const [by, { seen }] of rivals(view)) {
    if (!hasData(view, by)) continue;
    const text = `${by} has seen ${seen.leader} lead epoch ${epoch}, not ${leader}: one of them was let in by an old copy of the store. Find out whose data is older, stop that agent and move its data directory away; then restore.`;
    return { kind: 'elsewhere', by, text };
  }
  return null;
}

/** Those who have seen another leader of the known epoch. */
function rivals({ known, heard }: RestoreView): readonly (readonly [MemberId, { readonly seen: StoreSighting }])[] {
  const { epoch, leader } = known.record;
  return [...heard].flatMap(([by, { seen }]) =>
    seen === undefined || seen.epoch !== epoch || seen.leader === leader ? [] : [[by, { seen }] as const],
  );
}

/** Its data may have acknowledged writes alone (`whenShort: degrade`): that it is gone is for an operator to accept. */
function rivalsWithoutData(view: RestoreView): readonly string[] {
  return rivals(view)
    .filter(([by]) => !hasData(view, by))
    .map(
      ([by, { seen }]) =>
        `${by} has no data, and has seen ${seen.leader} lead epoch ${seen.epoch}: what was acknowledged in it would be lost. Data of it that was moved away must never come back.`,
    );
}

const hasData = ({ heard }: RestoreView, member: MemberId): boolean => heard.get(member)?.engine.kind !== 'absent';

function everybody({ members, known }: RestoreView): readonly MemberId[] {
  const { leader, rule, nextRule } = known.record;
  return [...new Set([...members, leader, ...rule.members, ...(nextRule?.members ?? [])])].sort();
}

function lossBy(member: MemberId, { rule, nextRule, leader, epoch }: LeadershipRecord): string {
  const isNeeded = member === leader || [rule, nextRule].some((each) => each?.members.includes(member) === true);
  const role = isNeeded ? `took part in epoch ${epoch} (${leader}, ${formatRule(nextRule ?? rule)})` : 'is a member';
  return `${member} does not answer, and ${role}: it may know of a newer leadership; what was acknowledged in that would be lost.`;
}

/** Who is open beside the known leader: let in by the store as it is now, it acknowledges writes that this leadership does not hold. */
function otherPrimaries({ known, heard }: RestoreView): readonly string[] {
  const { leader, epoch } = known.record;
  return [...heard].flatMap(([member, { engine, seen }]) => {
    if (member === leader || engine.kind !== 'primary') return [];
    const where = seen === undefined ? '' : ` in epoch ${seen.epoch}`;
    return [
      `${member} is an open primary${where}, beside epoch ${epoch} of ${leader}: what it acknowledged would be lost.`,
    ];
  });
}

/** A leadership that began on the store as it is now, and that nobody who was heard has believed. */
function newerInStore({ known, heard, storeEpoch }: RestoreView): readonly string[] {
  const { epoch } = known.record;
  const isHeard = [...heard.values()].some(({ seen }) => seen !== undefined && seen.epoch >= (storeEpoch ?? 0));
  if (storeEpoch === null || storeEpoch <= epoch || isHeard) return [];
  return [
    `The store is at epoch ${storeEpoch}, which was not built on epoch ${epoch}: what was acknowledged in it would be lost.`,
  ];
}

/** Data of a newer timeline than anybody knows a leadership for. */
function newerLines({ known, self, engine, heard }: RestoreView): readonly string[] {
  const engines: [MemberId, EngineState][] = [
    [self, engine],
    ...[...heard].map(([m, live]) => [m, live.engine] as [MemberId, EngineState]),
  ];
  return engines.flatMap(([member, each]) => {
    const line = lineOf(each);
    if (line === null || line <= known.record.timeline) return [];
    return [
      `${member}'s data is on timeline ${line}, newer than timeline ${known.record.timeline} of the newest known leadership.`,
    ];
  });
}

function lineOf(engine: EngineState): number | null {
  const position = 'position' in engine ? engine.position : null;
  return position === null ? null : timelineOf(position);
}

function written(
  view: RestoreView,
  atRisk: boolean,
): Pick<Extract<RestorePlan, { kind: 'ready' }>, 'record' | 'history' | 'summary'> {
  const { known, heard, storeEpoch, wallMs } = view;
  const epochs = [...heard.values()].flatMap(({ seen }) => (seen === undefined ? [] : [seen.epoch]));
  const newest = [known.record.epoch, storeEpoch ?? known.record.epoch, ...epochs].reduce((a, b) => (b > a ? b : a));
  const epoch = atRisk ? epochOnWord(newest) : nextEpoch(newest);
  const before = known.record;
  const record: LeadershipRecord = {
    ...before,
    epoch,
    cause: 'store-restored',
    // Who comes back later may have seen a leadership that this one was not built on.
    ...(atRisk ? { overrode: epoch } : {}),
  };
  const { leader, timeline, chosenAt } = record;
  return {
    record,
    history: { epoch, leader, timeline, cause: record.cause, chosenAt, wallMs },
    summary: `The leadership of ${leader} goes on as epoch ${epoch} (known: epoch ${before.epoch}, ${formatRule(before.nextRule ?? before.rule)}, timeline ${timeline}).`,
  };
}
