import type { Brand } from '../values/brand.ts';

/** A byte position in a write-ahead log. A bigint: LSNs are 64 bits wide and must never be compared as text. */
export type Lsn = Brand<bigint, 'Lsn'>;

/** Where `timeline` ended: the next timeline of the history branched off at `switchLsn`. */
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
  /** What lies before the first one of `history`, where that does not begin with the first timeline. */
  readonly before?: WalPrefix | undefined;
}

/** The beginning of a history of very many steps: how many they are, and a number that only the same steps have. */
export interface WalPrefix {
  readonly steps: number;
  readonly digest: string;
}

/** How many steps of a history are told one by one. Who was away for more leaderships than that is taken to be on another history. */
export const STEPS_TOLD = 256;

const EMPTY_PREFIX: WalPrefix = { steps: 0, digest: '0' };
/** A prime; the digest is a polynomial in `BASE` over it, so that it can be continued step by step. */
const MODULUS = 2n ** 127n - 1n;
const BASE = 0x1f3a_95c2_77d1_0b4e_63a8_d90f_5be7n;

/** The prefix that is longer by `steps`. */
function continued(prefix: WalPrefix, steps: readonly TimelineSwitch[]): WalPrefix {
  if (steps.length === 0) return prefix;
  const digest = steps.reduce(
    (sum, { timeline, switchLsn }) => (sum * BASE + (BigInt(timeline) << 64n) + switchLsn + 1n) % MODULUS,
    BigInt(`0x${prefix.digest}`),
  );
  return { steps: prefix.steps + steps.length, digest: digest.toString(16) };
}

/** The same position with no more than `STEPS_TOLD` steps told: what is stored and sent stays small, however often leaders changed. */
export function shortened(position: WalPosition): WalPosition {
  const surplus = position.history.length - STEPS_TOLD;
  if (surplus <= 0) return position;
  const before = continued(position.before ?? EMPTY_PREFIX, position.history.slice(0, surplus));
  return { ...position, history: position.history.slice(surplus), before };
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
 * newer timeline (its log ends before the fork) holds only the older one. Null when it ends among the steps that are not told.
 */
function segments(position: WalPosition): readonly TimelineSwitch[] | null {
  const found = [...position.history];
  let end: TimelineSwitch = { timeline: position.timeline, switchLsn: position.lsn };
  for (let parent = found.at(-1); parent !== undefined; parent = found.at(-1)) {
    if (compareLsn(end.switchLsn, parent.switchLsn) > 0) break;
    end = { timeline: parent.timeline, switchLsn: end.switchLsn };
    found.pop();
    if (found.length === 0 && position.before !== undefined) return null;
  }
  found.push(end);
  return found;
}

/**
 * Whether everything up to `inner` is part of the history that ends at `outer`: a partial order.
 *
 * Histories are compared, never timeline numbers alone (C35): two servers promoted apart can carry the same
 * number. `inner` belongs to `outer` when each ancestor of `inner` ended at the same place in `outer`, and `inner`'s own end
 * lies within `outer`'s stretch of that timeline.
 */
export function walContains(outer: WalPosition, inner: WalPosition): boolean {
  const steps = Math.max(outer.before?.steps ?? 0, inner.before?.steps ?? 0);
  const outerSegments = segmentsAfter(outer, steps);
  const innerSegments = segmentsAfter(inner, steps);
  if (outerSegments === null || innerSegments === null || outerSegments.digest !== innerSegments.digest) return false;
  return isWithin(innerSegments.rest, outerSegments.rest);
}

/** The segments after the first `steps` ancestors, and the digest of those; null when the position ends among them. */
function segmentsAfter(position: WalPosition, steps: number) {
  const found = segments(position);
  const before = position.before ?? EMPTY_PREFIX;
  const skipped = steps - before.steps;
  if (found === null || found.length <= skipped) return null;
  return { digest: continued(before, found.slice(0, skipped)).digest, rest: found.slice(skipped) };
}

function isWithin(innerSegments: readonly TimelineSwitch[], outerSegments: readonly TimelineSwitch[]): boolean {
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
