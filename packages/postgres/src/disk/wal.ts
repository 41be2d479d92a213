import { join } from 'node:path';
import { codeOf } from '@understudy/base';
import { type Lsn, lsn, parseLsn, shortened, type TimelineSwitch, type WalPosition } from '@understudy/core';
import { namesIn, openToRead, readAt, readIfThere, withFile } from '@understudy/engine/host';
import { type ControlFile, readControlFile } from './control-file.ts';

const hex8 = (value: bigint | number): string => value.toString(16).toUpperCase().padStart(8, '0');

/** Name of the file that holds the byte at `position` of a timeline's log. */
export function segmentName(timeline: number, position: Lsn, segmentBytes: number): string {
  const perHigh = 0x1_0000_0000n / BigInt(segmentBytes);
  const number = position / BigInt(segmentBytes);
  return hex8(timeline) + hex8(number / perHigh) + hex8(number % perHigh);
}

/**
 * The newest timeline that has a log file for `position`: the one that was received last, as the server removes those of
 * timelines that did not come to be. Null when there is none.
 */
export async function newestTimelineAt(dataDir: string, position: Lsn): Promise<number | null> {
  const { walSegmentBytes } = await readControlFile(dataDir);
  // The byte before: a position at the very end of a file is in that file.
  const wanted = segmentName(0, lsn(position - 1n), walSegmentBytes).slice(8);
  const names = (await namesIn(join(dataDir, 'pg_wal'))).filter((name) => name.length === 24 && name.endsWith(wanted));
  const timelines = names.map((name) => Number.parseInt(name.slice(0, 8), 16));
  return timelines.length === 0 ? null : Math.max(...timelines);
}

/**
 * Files of the log, by the part of their names that is the same on every timeline, that are not there and without which no server becomes
 * consistent: from where recovery begins to the checkpoint, and to how far pages were written.
 */
export async function missingLog(dataDir: string, control: ControlFile): Promise<readonly string[]> {
  // A copy that was never started: its label says where recovery begins, and it came with its log.
  if ((await readIfThere(join(dataDir, 'backup_label'))) !== null) return [];
  const names = await namesIn(join(dataDir, 'pg_wal'));
  const there = new Set(names.filter((name) => /^[0-9A-F]{24}$/.test(name)).map((name) => name.slice(8)));
  const { redo, checkpoint, minRecovery, walSegmentBytes } = control;
  // The byte before: what ends with a file needs nothing of the next one.
  const last = minRecovery > checkpoint ? minRecovery - 1n : checkpoint;
  const size = BigInt(walSegmentBytes);
  const missing: string[] = [];
  for (let number = redo / size; number <= last / size && missing.length < 16; number++) {
    const name = segmentName(0, lsn(number * size), walSegmentBytes).slice(8);
    if (!there.has(name)) missing.push(name);
  }
  return missing;
}

/** Whether the log's folder has nothing of a server's: the place of a disk that is not there yet, whose log is not lost. */
export async function isLogUnmounted(dataDir: string): Promise<boolean> {
  const names = await namesIn(join(dataDir, 'pg_wal')).catch((error: unknown): string[] => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  return names.every((name) => name === 'lost+found');
}

/** Name of the file that says from where a timeline came. */
export function historyFileName(timeline: number): string {
  return `${hex8(timeline)}.history`;
}

/** Reads the text of a timeline history file: its ancestors, oldest first. Null when a line is not understood. */
export function parseHistory(text: string): readonly TimelineSwitch[] | null {
  const steps: TimelineSwitch[] = [];
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const [timeline, at] = trimmed.split(/\s+/);
    const switchLsn = parseLsn(at ?? '');
    if (switchLsn === null || !/^\d+$/.test(timeline ?? '')) return null;
    steps.push({ timeline: Number(timeline), switchLsn });
  }
  return steps;
}

/**
 * Ancestors of a timeline, from the file in the data directory (a finished timeline's never changes).
 *
 * @returns null when the file is missing or damaged; an empty list for timeline 1, which has no parent.
 */
export async function readHistory(dataDir: string, timeline: number): Promise<readonly TimelineSwitch[] | null> {
  if (timeline === 1) return [];
  const text = await readIfThere(join(dataDir, 'pg_wal', historyFileName(timeline)));
  return text === null ? null : parseHistory(text);
}

const shortPageHeaderBytes = 24n;
const longPageHeaderBytes = 40n;

/** End of a record of `recordBytes` that begins at `start`: page headers it crosses are not part of its length; aligned to 8. */
export function recordEnd(start: Lsn, recordBytes: number, sizes: { block: number; segment: number }): Lsn {
  const block = BigInt(sizes.block);
  let left = BigInt(recordBytes);
  let at: bigint = start;
  for (;;) {
    const room = block - (at % block);
    const taken = left < room ? left : room;
    at += taken;
    left -= taken;
    if (left === 0n) break;
    at += at % BigInt(sizes.segment) === 0n ? longPageHeaderBytes : shortPageHeaderBytes;
  }
  return lsn((at + 7n) & ~7n);
}

/** Exact end of the checkpoint record that `control` names: where the log of a cleanly stopped primary ends. Null when that log is missing. */
export async function checkpointEnd(dataDir: string, control: ControlFile): Promise<Lsn | null> {
  const name = segmentName(control.timeline, control.checkpoint, control.walSegmentBytes);
  const offset = Number(control.checkpoint % BigInt(control.walSegmentBytes));
  const opened = openToRead(join(dataDir, 'pg_wal', name));
  const length = await withFile(opened, (file) => readAt(file, offset, 4)).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (length === null || length.length < 4) return null;
  const recordBytes = length.readUInt32LE(0);
  // A checkpoint record is a little over 100 bytes; anything far from it is not one.
  if (recordBytes < 64 || recordBytes > 1024) return null;
  return recordEnd(control.checkpoint, recordBytes, { block: control.walBlockBytes, segment: control.walSegmentBytes });
}

/** A position as the protocol compares it; null when the timeline's history file is missing. */
export async function positionOf(dataDir: string, timeline: number, at: Lsn): Promise<WalPosition | null> {
  const whole = await wholePositionOf(dataDir, timeline, at);
  return whole === null ? null : shortened(whole);
}

/** A position with all of the history that leads to it; null when the timeline's history file is missing. */
export async function wholePositionOf(dataDir: string, timeline: number, at: Lsn): Promise<WalPosition | null> {
  const history = await readHistory(dataDir, timeline);
  return history === null ? null : { kind: 'wal', timeline, lsn: at, history };
}
