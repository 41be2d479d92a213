import {
  formatIntervals,
  type GtidInterval,
  type GtidPosition,
  gtidContains,
  gtidCount,
  gtidSubtract,
  normalizeIntervals,
  parseIntervals,
} from './gtid.ts';
import {
  formatLsn,
  lsn,
  parseLsn,
  shortened,
  type WalPosition,
  type WalPrefix,
  walContains,
  walDistanceBytes,
} from './wal.ts';

/**
 * A point in a server's history, in whatever coordinates its engine counts (WAL position with timelines; GTID sets).
 * The protocol only ever asks how two of them relate. Two of different kinds have nothing in common.
 */
export type Position = WalPosition | GtidPosition;

/** How `a` relates to `b`: same history and same end, longer, shorter, or each holding something the other lacks. */
export type Relation = 'equal' | 'ahead' | 'behind' | 'diverged';

/** Whether everything in `inner` is in `outer`. */
export function contains(outer: Position, inner: Position): boolean {
  if (outer.kind === 'wal') return inner.kind === 'wal' && walContains(outer, inner);
  return inner.kind === 'gtid' && gtidContains(outer.set, inner.set);
}

export function relation(a: Position, b: Position): Relation {
  const aHasB = contains(a, b);
  const bHasA = contains(b, a);
  if (aHasB && bHasA) return 'equal';
  if (aHasB) return 'ahead';
  return bHasA ? 'behind' : 'diverged';
}

/** The one of `positions` that contains all the others; null when there is none (diverged) or the list is empty. */
export function furthest(positions: readonly Position[]): Position | null {
  return positions.find((candidate) => positions.every((other) => contains(candidate, other))) ?? null;
}

/** What `behind` lacks of `ahead`, in bytes of log; for GTID sets an estimate: the transactions that it lacks times their average size. */
export function distanceBytes(ahead: Position, behind: Position): number {
  if (ahead.kind === 'wal') return behind.kind === 'wal' ? walDistanceBytes(ahead, behind) : 0;
  if (behind.kind === 'wal') return 0;
  return Math.round(Number(gtidCount(gtidSubtract(ahead.set, behind.set))) * ahead.bytesPerTransaction);
}

/** The timeline of a new database. Every promotion begins another one, also the first: what is on this one was never open for writes. */
export const FIRST_TIMELINE = 1;

/**
 * The timeline that a position ends on; null when it is on none yet. PostgreSQL numbers timelines itself. In MySQL and MariaDB the first
 * transaction of each leadership carries the number (`docs/adr/0010`).
 */
export function timelineOf(position: Position): number | null {
  return position.kind === 'wal' ? position.timeline : (position.timelines.at(-1) ?? null);
}

/**
 * What a history holds up to the end of its stretch on `timeline`; null when it does not go through that timeline. A set does not
 * say in what order it came to be: of one that went on to a later timeline, more than that stretch is returned, never less.
 */
export function upToTimeline(position: Position, timeline: number): Position | null {
  if (position.kind === 'gtid') return position.timelines.includes(timeline) ? position : null;
  if (position.timeline === timeline) return position;
  const index = position.history.findIndex((step) => step.timeline === timeline);
  const step = position.history[index];
  return step === undefined
    ? null
    : { ...position, timeline, lsn: step.switchLsn, history: position.history.slice(0, index) };
}

/** How far a history has come, as one number that only grows along it: bytes of log, or transactions of a set. For graphs, not for decisions. */
export function extentOf(position: Position): number {
  return position.kind === 'wal' ? Number(position.lsn) : Number(gtidCount(position.set));
}

/** A position as people read it: `2@0/3000148`; `2@3e11fa47…:1-77` for a set. */
export function formatPosition(position: Position): string {
  if (position.kind === 'wal') return `${position.timeline}@${formatLsn(position.lsn)}`;
  const sources = [...position.set].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const parts = sources.map(([source, intervals]) => `${shortSource(source)}:${formatIntervals(intervals)}`);
  return `${timelineOf(position) ?? 0}@${parts.join(',') || 'empty'}`;
}

const shortSource = (source: string): string => (source.length > 12 ? `${source.slice(0, 8)}…` : source);

/** JSON-safe form of a position, for the store and the peer stream. */
export type EncodedPosition = EncodedWalPosition | EncodedGtidPosition;

export interface EncodedWalPosition {
  readonly kind: 'wal';
  readonly timeline: number;
  readonly lsn: string;
  /** The whole history; absent where only its end is told: an agent that knows no `recent` understands nothing then, rather than something else. */
  readonly history?: readonly EncodedSwitch[] | undefined;
  readonly recent?: readonly EncodedSwitch[] | undefined;
  readonly before?: WalPrefix | undefined;
}

interface EncodedSwitch {
  readonly timeline: number;
  readonly switchLsn: string;
}

export interface EncodedGtidPosition {
  readonly kind: 'gtid';
  /** Intervals by source: `{ "3e11fa47-…": "1-5:7" }`. */
  readonly set: Readonly<Record<string, string>>;
  /** Each timeline, under the name that all versions read; absent where they are so many that they are told as `lines`, `1-5000:5002`. */
  readonly lineages?: readonly number[] | undefined;
  readonly lines?: string | undefined;
  readonly bytesPerTransaction: number;
}

/** More timelines than that are told as intervals. */
const TIMELINES_TOLD = 256;
/** The most timelines that a position can have (`docs/adr/0010`). */
export const TIMELINES_MAX = 2 ** 20;

export function encodePosition(position: Position): EncodedPosition {
  if (position.kind === 'gtid') {
    const set = Object.fromEntries(
      [...position.set].map(([source, intervals]) => [source, formatIntervals(intervals)]),
    );
    const { timelines, bytesPerTransaction } = position;
    if (timelines.length <= TIMELINES_TOLD) return { kind: 'gtid', set, lineages: timelines, bytesPerTransaction };
    const ones = timelines.map((each) => ({ first: BigInt(each), last: BigInt(each) }));
    return { kind: 'gtid', set, lines: formatIntervals(normalizeIntervals(ones)), bytesPerTransaction };
  }
  const { timeline, lsn: end, history, before } = shortened(position);
  const steps = history.map((step) => ({ timeline: step.timeline, switchLsn: formatLsn(step.switchLsn) }));
  const place = { kind: 'wal', timeline, lsn: formatLsn(end) } as const;
  return before === undefined ? { ...place, history: steps } : { ...place, recent: steps, before };
}

/** The position that `encoded` stands for; null when one of its LSNs or sets of intervals is not one. */
export function decodePosition(encoded: EncodedPosition): Position | null {
  return encoded.kind === 'gtid' ? decodeGtid(encoded) : decodeWal(encoded);
}

function decodeGtid(encoded: EncodedGtidPosition): Position | null {
  const set = new Map<string, readonly GtidInterval[]>();
  for (const [source, text] of Object.entries(encoded.set)) {
    const intervals = parseIntervals(text);
    if (intervals === null) return null;
    set.set(source, intervals);
  }
  const timelines = encoded.lineages ?? timelinesIn(encoded.lines ?? '');
  return timelines === null ? null : { kind: 'gtid', set, timelines, bytesPerTransaction: encoded.bytesPerTransaction };
}

function timelinesIn(text: string): readonly number[] | null {
  const intervals = parseIntervals(text);
  if (intervals === null || (intervals.at(-1)?.last ?? 0n) > 0xffffffffn) return null;
  if (intervals.reduce((sum, { first, last }) => sum + last - first + 1n, 0n) > BigInt(TIMELINES_MAX)) return null;
  return intervals.flatMap(({ first, last }) =>
    Array.from({ length: Number(last - first) + 1 }, (_, index) => Number(first) + index),
  );
}

function decodeWal(encoded: EncodedWalPosition): Position | null {
  const end = parseLsn(encoded.lsn);
  const { before } = encoded;
  const told = before === undefined ? encoded.history : encoded.recent;
  const history = told?.map((step) => ({ timeline: step.timeline, switchLsn: parseLsn(step.switchLsn) }));
  if (end === null || history === undefined || history.some((step) => step.switchLsn === null)) return null;
  return {
    kind: 'wal',
    timeline: encoded.timeline,
    lsn: end,
    history: history.map((step) => ({ timeline: step.timeline, switchLsn: step.switchLsn ?? lsn(0n) })),
    ...(before === undefined ? {} : { before }),
  };
}
