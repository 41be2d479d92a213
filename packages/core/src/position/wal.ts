import type { Brand } from '../values/brand.ts';

/** A byte position in a write-ahead log. A bigint: LSNs are 64 bits wide and must never be compared as text. */
export type Lsn = Brand<bigint, 'Lsn'>;

/** Where a timeline ended and its child began: the child `timeline + …` forked off at `switchLsn`. */
export interface TimelineSwitch {
  readonly timeline: number;
  readonly switchLsn: Lsn;
}

/**
 * A point in a PostgreSQL history: everything on `history`'s timelines up to their switch points, then `timeline` up to `lsn`.
 * `history` lists the ancestors, oldest first, as a timeline history file does.
 */
export interface WalPosition {
  readonly kind: 'wal';
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly history: readonly TimelineSwitch[];
}

const LSN_PATTERN = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

export const lsn = (value: bigint): Lsn => value as Lsn;

/** Reads `16/B374D848`; null when the text is not an LSN. */
export function parseLsn(text: string): Lsn | null {
  const match = LSN_PATTERN.exec(text);
  if (match === null) return null;
  const [, high = '', low = ''] = match;
  return lsn((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`));
}

/** Writes an LSN the way PostgreSQL does. */
export function formatLsn(value: Lsn): string {
  return `${(value >> 32n).toString(16).toUpperCase()}/${(value & 0xffffffffn).toString(16).toUpperCase()}`;
}

export const compareLsn = (a: Lsn, b: Lsn): -1 | 0 | 1 => (a < b ? -1 : a > b ? 1 : 0);

/** The stretch of each timeline that belongs to a history, oldest first; the last one ends at the position itself. */
function segments(position: WalPosition): readonly TimelineSwitch[] {
  return [...position.history, { timeline: position.timeline, switchLsn: position.lsn }];
}

/**
 * Whether everything up to `inner` is part of the history that ends at `outer`.
 *
 * Histories are compared, never timeline numbers alone (`postgresql-ha.md` C35): two servers promoted apart can carry the same
 * number. `inner` belongs to `outer` when each ancestor of `inner` ended at the same place in `outer`, and `inner`'s own end
 * lies within `outer`'s stretch of that timeline.
 */
export function walContains(outer: WalPosition, inner: WalPosition): boolean {
  const outerSegments = segments(outer);
  const innerSegments = segments(inner);
  if (innerSegments.length > outerSegments.length) return containsAtSwitchPoint(outer, inner);
  for (const [index, innerSegment] of innerSegments.entries()) {
    const outerSegment = outerSegments[index];
    if (outerSegment === undefined || outerSegment.timeline !== innerSegment.timeline) {
      return containsAtSwitchPoint(outer, inner);
    }
    const last = index === innerSegments.length - 1;
    if (last) return compareLsn(innerSegment.switchLsn, outerSegment.switchLsn) <= 0;
    if (compareLsn(innerSegment.switchLsn, outerSegment.switchLsn) !== 0) return containsAtSwitchPoint(outer, inner);
  }
  return false;
}

/**
 * A server that has just switched timelines holds nothing beyond its fork point: its history equals that of its parent cut there.
 * Only that degenerate case may name a timeline that `outer` does not know.
 */
function containsAtSwitchPoint(outer: WalPosition, inner: WalPosition): boolean {
  const parent = inner.history.at(-1);
  if (parent === undefined || compareLsn(inner.lsn, parent.switchLsn) > 0) return false;
  return walContains(outer, {
    kind: 'wal',
    timeline: parent.timeline,
    lsn: inner.lsn,
    history: inner.history.slice(0, -1),
  });
}

/** Bytes that `behind` lacks of `ahead`, when both are on one history; 0 when it lacks nothing. */
export function walDistanceBytes(ahead: WalPosition, behind: WalPosition): number {
  return ahead.lsn > behind.lsn ? Number(ahead.lsn - behind.lsn) : 0;
}
