import {
  formatIntervals,
  type GtidInterval,
  type GtidSet,
  normalizeIntervals,
  parseIntervals,
  TIMELINES_MAX,
} from '@understudy/core';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const tagPattern = /^[a-z_][a-z0-9_]{0,31}$/;

/** The line that a new database is on; no transaction marks it. */
export const firstTimeline = 1;

/**
 * Reads a set of GTIDs as MySQL writes it: `uuid:1-5:7,uuid:tag:1-3`, where several tags may share one uuid (`uuid:1:tag:2-3:other:1`)
 * and lines may be broken after the commas.
 *
 * @returns the intervals by source, `uuid` or `uuid:tag` in lower case; null when the text is something else.
 */
export function parseMysqlGtids(text: string): GtidSet | null {
  const set = new Map<string, readonly GtidInterval[]>();
  for (const group of text.split(',')) {
    if (group.trim() === '') continue;
    if (!readGroup(group, set)) return null;
  }
  return set;
}

/** Reads the sources of one uuid into `set`; false when the text is something else. */
function readGroup(group: string, set: Map<string, readonly GtidInterval[]>): boolean {
  const [uuid = '', ...parts] = group.split(':').map((part) => part.trim().toLowerCase());
  if (!uuidPattern.test(uuid) || parts.length === 0) return false;
  let source = uuid;
  let pending: 'interval' | 'any' = 'any';
  for (const part of parts) {
    if (tagPattern.test(part) && pending === 'any') {
      source = `${uuid}:${part}`;
      pending = 'interval';
      continue;
    }
    const intervals = parseIntervals(part);
    if (intervals === null) return false;
    set.set(source, normalizeIntervals([...(set.get(source) ?? []), ...intervals]));
    pending = 'any';
  }
  return pending === 'any';
}

/** Writes a set of GTIDs in MySQL's language, sources in ascending order. */
export function formatMysqlGtids(set: GtidSet): string {
  const sources = [...set].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return sources.map(([source, intervals]) => `${source}:${formatIntervals(intervals)}`).join(',');
}

/** Reads `@@global.gtid_owned`, in which every number is followed by the threads that own it: `uuid:5#12:6#13`. */
export function parseOwnedGtids(text: string): GtidSet | null {
  return parseMysqlGtids(text.replaceAll(/#\d+/g, ''));
}

/** The history lines of a set: the numbers that the cluster's own uuid has given, one for each promotion, after line 1, on which every database begins. */
export function mysqlTimelines(set: GtidSet, cluster: string): readonly number[] {
  const timelines = [firstTimeline];
  for (const { first, last } of set.get(cluster) ?? []) {
    const from = first > firstTimeline ? first : BigInt(firstTimeline + 1);
    for (let line = from; line <= last && timelines.length < TIMELINES_MAX; line++) timelines.push(Number(line));
  }
  return timelines;
}
