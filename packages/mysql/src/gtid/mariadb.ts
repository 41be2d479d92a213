import type { GtidInterval, GtidSet } from '@understudy/core';
import { firstTimeline } from './mysql.ts';

/** A MariaDB GTID: `domain-server-sequence`. */
export interface MariadbGtid {
  readonly domain: number;
  readonly server: number;
  readonly sequence: bigint;
}

/** Where a line of a MariaDB history began: its number, and the sequence number before its marker (null: the marker is the first of all). */
export interface LineStep {
  readonly timeline: number;
  readonly previous: bigint | null;
}

const gtidPattern = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/;
const counterBits = 44n;

/** The domain that the cluster writes in; others are not its own, and are only carried along. */
export const clusterDomain = 0;

/** The sequence number of a line's marker; those of its transactions follow. */
export const markerSequence = (timeline: number): bigint => BigInt(timeline) << counterBits;

/** The line that a sequence number belongs to; 0: before there were lines. */
export const lineOf = (sequence: bigint): number => Number(sequence >> counterBits);

/** The place of a sequence number on its line, from 1 (the marker) on. */
export const placeOnLine = (sequence: bigint): bigint => (sequence & ((1n << counterBits) - 1n)) + 1n;

/** Reads `0-1-100,1-7-3` (`gtid_slave_pos`, `gtid_binlog_state`, `Gtid_IO_Pos`); null when the text is something else. */
export function parseMariadbGtids(text: string): readonly MariadbGtid[] | null {
  const gtids: MariadbGtid[] = [];
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const match = gtidPattern.exec(part.trim());
    if (match === null) return null;
    gtids.push({ domain: Number(match[1]), server: Number(match[2]), sequence: BigInt(match[3] ?? '') });
  }
  return gtids;
}

/** Writes GTIDs as MariaDB does. */
export function formatMariadbGtids(gtids: readonly MariadbGtid[]): string {
  return gtids.map(({ domain, server, sequence }) => `${domain}-${server}-${sequence}`).join(',');
}

/** The highest sequence number in the cluster's domain; null when there is none. */
export function newestSequence(gtids: readonly MariadbGtid[]): bigint | null {
  return gtids
    .filter(({ domain }) => domain === clusterDomain)
    .reduce<bigint | null>((best, { sequence }) => (best === null || sequence > best ? sequence : best), null);
}

/**
 * What a history holds whose newest transactions are `gtids`. A sequence number says its line and its place there; where the earlier
 * lines ended is only in `steps`, the rows that the markers wrote.
 *
 * @returns null when the way back to the beginning is not known: the marker of the newest line has not been applied yet.
 */
export function mariadbHistory(
  gtids: readonly MariadbGtid[],
  steps: ReadonlyMap<number, LineStep>,
): { readonly set: GtidSet; readonly timelines: readonly number[] } | null {
  const set = new Map<string, readonly GtidInterval[]>(foreignSources(gtids));
  const timelines: number[] = [];
  for (let at = newestSequence(gtids); at !== null; ) {
    const timeline = lineOf(at);
    set.set(String(timeline), [{ first: 1n, last: placeOnLine(at) }]);
    if (timeline === 0) break;
    timelines.unshift(timeline);
    const step = steps.get(timeline);
    if (step === undefined || (step.previous !== null && lineOf(step.previous) >= timeline)) return null;
    at = step.previous;
  }
  return { set, timelines: timelines[0] === firstTimeline ? timelines : [firstTimeline, ...timelines] };
}

/** Other domains count per server, as nothing else is known of them. */
function foreignSources(gtids: readonly MariadbGtid[]): readonly (readonly [string, readonly GtidInterval[]])[] {
  return gtids
    .filter(({ domain }) => domain !== clusterDomain)
    .map(({ domain, server, sequence }) => [`domain ${domain} server ${server}`, [{ first: 1n, last: sequence + 1n }]]);
}

/** The newest sequence number of a position of this kind, the other way round; null for an empty one. */
export function sequenceOf(set: GtidSet, timelines: readonly number[]): bigint | null {
  const timeline = set.has(String(timelines.at(-1))) ? (timelines.at(-1) ?? 0) : 0;
  const last = set.get(String(timeline))?.at(-1)?.last;
  return last === undefined ? null : markerSequence(timeline) + last - 1n;
}
