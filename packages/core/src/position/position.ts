import { formatLsn, lsn, parseLsn, type WalPosition, walContains, walDistanceBytes } from './wal.ts';

/**
 * A point in a server's history, in whatever coordinates its engine counts (WAL position with timelines; GTID sets).
 * The protocol only ever asks how two of them relate.
 */
export type Position = WalPosition;

/** How `a` relates to `b`: same history and same end, longer, shorter, or each holding something the other lacks. */
export type Relation = 'equal' | 'ahead' | 'behind' | 'diverged';

/** Whether everything in `inner` is in `outer`. */
export function contains(outer: Position, inner: Position): boolean {
  return walContains(outer, inner);
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

/** What `behind` lacks of `ahead`, in bytes of log. */
export function distanceBytes(ahead: Position, behind: Position): number {
  return walDistanceBytes(ahead, behind);
}

/** The history line that a position ends on (PostgreSQL: its timeline); null where an engine has none. */
export function lineageOf(position: Position): number | null {
  return position.timeline;
}

/** What a history holds up to the end of its stretch on `lineage`; null when it does not go through that line. */
export function upToLineage(position: Position, lineage: number): Position | null {
  if (position.timeline === lineage) return position;
  const index = position.history.findIndex((step) => step.timeline === lineage);
  const step = position.history[index];
  return step === undefined
    ? null
    : { kind: 'wal', timeline: lineage, lsn: step.switchLsn, history: position.history.slice(0, index) };
}

/** A position as people read it: `2@0/3000148`. */
export function formatPosition(position: Position): string {
  return `${position.timeline}@${formatLsn(position.lsn)}`;
}

/** JSON-safe form of a position, for the store and the peer stream. */
export interface EncodedPosition {
  readonly kind: 'wal';
  readonly timeline: number;
  readonly lsn: string;
  readonly history: readonly { readonly timeline: number; readonly switchLsn: string }[];
}

export function encodePosition(position: Position): EncodedPosition {
  return {
    kind: 'wal',
    timeline: position.timeline,
    lsn: formatLsn(position.lsn),
    history: position.history.map((step) => ({ timeline: step.timeline, switchLsn: formatLsn(step.switchLsn) })),
  };
}

/** The position that `encoded` stands for; null when one of its LSNs is not one. */
export function decodePosition(encoded: EncodedPosition): Position | null {
  const end = parseLsn(encoded.lsn);
  const history = encoded.history.map((step) => ({ timeline: step.timeline, switchLsn: parseLsn(step.switchLsn) }));
  if (end === null || history.some((step) => step.switchLsn === null)) return null;
  return {
    kind: 'wal',
    timeline: encoded.timeline,
    lsn: end,
    history: history.map((step) => ({ timeline: step.timeline, switchLsn: step.switchLsn ?? lsn(0n) })),
  };
}
