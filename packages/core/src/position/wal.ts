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

/**
 * The stretch of each timeline that belongs to a history, oldest first; the last one ends at the position itself. A timeline on which
 * nothing lies yet is left out: a server that has just switched holds what its parent held at the fork, and one that is on its way to a
 * newer timeline (its log ends before the fork) holds only the older one.
 */
function segments(position: WalPosition): readonly TimelineSwitch[] {
  const found = [...position.history];
  let end: TimelineSwitch = { timeline: position.timeline, switchLsn: position.lsn };
  for (let parent = found.at(-1); parent !== undefined; parent = found.at(-1)) {
    if (compareLsn(end.switchLsn, parent.switchLsn) > 0) break;
    end = { timeline: parent.timeline, switchLsn: end.switchLsn };
    found.pop();
  }
  found.push(end);
  return found;
}

/**
 * Whether everything up to `inner` is part of the history that ends at `outer`: a partial order.
 *
 * Histories are compared, never timeline numbers alone (`postgresql-ha.md` C35): two servers promoted apart can carry the same
 * number. `inner` belongs to `outer` when each ancestor of `inner` ended at the same place in `outer`, and `inner`'s own end
 * lies within `outer`'s stretch of that timeline.
 */
export function walContains(outer: WalPosition, inner: WalPosition): boolean {
  const outerSegments = segments(outer);
  const innerSegments = segments(inner);
  const last = innerSegments.length - 1;
  return innerSegments.every((own, index) => {
    const other = outerSegments[index];
    if (other === undefined || other.timeline !== own.timeline) return false;
    const order = compareLsn(own.switchLsn, other.switchLsn);
    return index === last ? order <= 0 : order === 0;
  });
}

/** Bytes that `behind` lacks of `ahead`, when both are on one history; 0 when it lacks nothing. */
export function walDistanceBytes(ahead: WalPosition, behind: WalPosition): number {
  return ahead.lsn > behind.lsn ? Number(ahead.lsn - behind.lsn) : 0;
}
