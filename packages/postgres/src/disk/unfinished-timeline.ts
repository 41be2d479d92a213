import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '@understudy/base';
import type { Lsn } from '@understudy/core';
import { namesIn, openToRead, removeFile, syncFolder, withFile } from '@understudy/engine/host';
import { historyFileName, readHistory, segmentName } from './wal.ts';

/**
 * A timeline whose log a receiver had begun to fetch, but not up to the place where it left its parent.
 *
 * A receiver always begins at the start of a file. The first file of a new timeline repeats what its parent had written in that
 * file, so for a moment a replica holds an older end of its log on the new timeline than on the old one, although it has long
 * confirmed (and still holds) the old one. Recovery reads the newest timeline that has the file: a promotion in that moment ends in
 * a PANIC, and a restart stops short of confirmed writes and cannot follow anybody any more ("according to history file, WAL location
 * … belongs to timeline …, but previous recovered WAL file came from timeline …").
 */
export interface UnfinishedTimeline {
  readonly timeline: number;
  /** Where it left its parent. */
  readonly switchLsn: Lsn;
  /** Its files: the log, and its history. */
  readonly files: readonly string[];
}

/** `last-page`: what a running server's receiver, which writes in order, has left. `whole`: after a crash of the machine too. */
type Thoroughness = 'last-page' | 'whole';

/**
 * Finds timelines that are unfinished on this disk.
 *
 * @param segmentBytes size of a log file, from the control file
 */
export async function unfinishedTimelines(
  dataDir: string,
  segmentBytes: number,
  thoroughness: Thoroughness,
): Promise<readonly UnfinishedTimeline[]> {
  const names = await namesIn(join(dataDir, 'pg_wal'));
  const segments = names.filter((name) => /^[0-9A-F]{24}$/.test(name));
  const timelines = [...new Set(segments.map((name) => Number.parseInt(name.slice(0, 8), 16)))];
  const found: UnfinishedTimeline[] = [];
  for (const timeline of timelines) {
    const history = (await readHistory(dataDir, timeline)) ?? [];
    const switchLsn = history.at(-1)?.switchLsn;
    if (switchLsn === undefined) continue;
    const offset = Number(switchLsn % BigInt(segmentBytes));
    const own = segmentName(timeline, switchLsn, segmentBytes);
    const ancestors = history.map((step) => segmentName(step.timeline, switchLsn, segmentBytes)).reverse();
    const parent = ancestors.find((name) => segments.includes(name));
    if (offset === 0 || parent === undefined || !segments.includes(own)) continue;
    const range = { begin: switchLsn - BigInt(offset), lengthBytes: offset, thoroughness };
    const isWhole = (name: string): Promise<boolean> => holds(join(dataDir, 'pg_wal', name), range);
    // The parent's file must be whole itself: it is then more than the other. It may also be an old file kept for later use.
    if ((await isWhole(own)) || !(await isWhole(parent))) continue;
    const log = segments.filter((name) => name.startsWith(own.slice(0, 8)));
    found.push({ timeline, switchLsn, files: [...log, historyFileName(timeline)] });
  }
  return found;
}

/**
 * Removes them from a data directory whose server does not run. Nothing is lost: they hold only a part of what their parent's file
 * holds whole.
 *
 * @returns the timelines that were removed.
 */
export async function dropUnfinishedTimelines(dataDir: string, segmentBytes: number): Promise<readonly number[]> {
  const found = await unfinishedTimelines(dataDir, segmentBytes, 'whole');
  for (const file of found.flatMap(({ files }) => files)) await removeFile(join(dataDir, 'pg_wal', file));
  if (found.length > 0) await syncFolder(join(dataDir, 'pg_wal'));
  return found.map(({ timeline }) => timeline);
}

interface Range {
  /** Position of the file's first byte. */
  readonly begin: bigint;
  readonly lengthBytes: number;
  readonly thoroughness: Thoroughness;
}

const pageBytes = 8192;
/** Offset of `xlp_pageaddr` in the header that every page of the log begins with (`xlog_internal.h`). */
const pageAddressOffset = 8;

/**
 * Whether a log file holds its first `lengthBytes`: each of its pages says that it is the one for that position. What was not written yet
 * is zero, or a page of the file's former use. A sender that catches up sends whole pages, so no page before the end is half-written.
 */
async function holds(path: string, { begin, lengthBytes, thoroughness }: Range): Promise<boolean> {
  const lastPage = Math.floor((lengthBytes - 1) / pageBytes);
  try {
    return await withFile(openToRead(path), async (file) => {
      for (let page = thoroughness === 'whole' ? 0 : lastPage; page <= lastPage; page += 1) {
        if (!(await isPageOf(file, page * pageBytes, begin + BigInt(page * pageBytes)))) return false;
      }
      return true;
    });
  } catch (error) {
    // The server may have removed it just now: then there is nothing to be wrong with.
    if (codeOf(error) === 'ENOENT') return true;
    throw error;
  }
}

async function isPageOf(file: FileHandle, offset: number, position: bigint): Promise<boolean> {
  const header = Buffer.alloc(16);
  const { bytesRead } = await file.read(header, 0, header.length, offset);
  return (
    bytesRead === header.length &&
    header.readUInt16LE(0) !== 0 &&
    header.readBigUInt64LE(pageAddressOffset) === position
  );
}
