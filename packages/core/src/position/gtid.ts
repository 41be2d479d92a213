/** Transactions of one source with consecutive numbers, both ends included. */
export interface GtidInterval {
  readonly first: bigint;
  readonly last: bigint;
}

/** Transactions by source (whoever numbered them). The intervals of a source are ascending and neither overlap nor touch. */
export type GtidSet = ReadonlyMap<string, readonly GtidInterval[]>;

/** A history as the set of its transactions: for engines whose servers know which ones they hold, whatever the order of arrival. */
export interface GtidPosition {
  readonly kind: 'gtid';
  readonly set: GtidSet;
  /** The timelines that it went through, ascending; the last one is its own. Empty before the first promotion. */
  readonly timelines: readonly number[];
  /** Average size of a transaction, as the server measured it: for estimates of lag, never for a decision of safety. */
  readonly bytesPerTransaction: number;
}

export const EMPTY_GTID_SET: GtidSet = new Map();

const INTERVAL_PATTERN = /^([0-9]{1,20})(?:-([0-9]{1,20}))?$/;

/** Puts intervals in order and joins those that overlap or touch. */
export function normalizeIntervals(intervals: readonly GtidInterval[]): readonly GtidInterval[] {
  const sorted = intervals.filter(({ first, last }) => first <= last).toSorted((a, b) => compare(a.first, b.first));
  const joined: GtidInterval[] = [];
  for (const each of sorted) {
    const before = joined.at(-1);
    if (before === undefined || each.first > before.last + 1n) joined.push(each);
    else if (each.last > before.last) joined[joined.length - 1] = { first: before.first, last: each.last };
  }
  return joined;
}

const compare = (a: bigint, b: bigint): -1 | 0 | 1 => (a < b ? -1 : a > b ? 1 : 0);

/** Everything that is in one of the sets. */
export function gtidUnion(...sets: readonly GtidSet[]): GtidSet {
  const united = new Map<string, readonly GtidInterval[]>();
  for (const set of sets) {
    for (const [source, intervals] of set) {
      united.set(source, normalizeIntervals([...(united.get(source) ?? []), ...intervals]));
    }
  }
  return united;
}

/** What is in `set` and not in `without`. */
export function gtidSubtract(set: GtidSet, without: GtidSet): GtidSet {
  const left = new Map<string, readonly GtidInterval[]>();
  for (const [source, intervals] of set) {
    const holes = without.get(source);
    // Positions of one history share what is older.
    if (holes === intervals) continue;
    const rest = (holes ?? []).reduce(cutOut, intervals);
    if (rest.length > 0) left.set(source, rest);
  }
  return left;
}

function cutOut(intervals: readonly GtidInterval[], hole: GtidInterval): readonly GtidInterval[] {
  const left: GtidInterval[] = [];
  for (const each of intervals) {
    const { first, last } = each;
    if (hole.last < first || hole.first > last) {
      left.push(each);
      continue;
    }
    if (first < hole.first) left.push({ first, last: hole.first - 1n });
    if (hole.last < last) left.push({ first: hole.last + 1n, last });
  }
  return left;
}

/** Whether every transaction of `inner` is in `outer`. */
export function gtidContains(outer: GtidSet, inner: GtidSet): boolean {
  if (outer === inner) return true;
  for (const [source, intervals] of inner) {
    const held = outer.get(source);
    if (held === intervals) continue;
    if (!holdsAll(held ?? [], intervals)) return false;
  }
  return true;
}

/** Intervals never touch, so one that is contained lies within a single one of the others; both lists ascend. */
function holdsAll(held: readonly GtidInterval[], wanted: readonly GtidInterval[]): boolean {
  let index = 0;
  for (const { first, last } of wanted) {
    let candidate = held[index];
    while (candidate !== undefined && candidate.last < last) {
      index += 1;
      candidate = held[index];
    }
    if (candidate === undefined || candidate.first > first) return false;
  }
  return true;
}

/** How many transactions the set has. */
export function gtidCount(set: GtidSet): bigint {
  let count = 0n;
  for (const intervals of set.values()) for (const { first, last } of intervals) count += last - first + 1n;
  return count;
}

/** `1-5:7:9-12`, as MySQL writes the intervals of one source. */
export function formatIntervals(intervals: readonly GtidInterval[]): string {
  return intervals.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(':');
}

/** Reads `1-5:7:9-12`; null when the text is something else. */
export function parseIntervals(text: string): readonly GtidInterval[] | null {
  const intervals: GtidInterval[] = [];
  for (const part of text.split(':')) {
    const match = INTERVAL_PATTERN.exec(part.trim());
    if (match === null) return null;
    const first = BigInt(match[1] ?? '');
    const last = BigInt(match[2] ?? match[1] ?? '');
    if (last < first) return null;
    intervals.push({ first, last });
  }
  return normalizeIntervals(intervals);
}
