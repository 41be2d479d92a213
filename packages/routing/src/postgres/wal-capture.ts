import { type Lsn, lsn } from '@understudy/core';

const PAGE_BYTES = 8192n;
/** Headers of a page, and of the first page of a segment (`XLogPageHeaderData`, `XLogLongPageHeaderData`; 64-bit servers). */
const SHORT_HEADER_BYTES = 24n;
const LONG_HEADER_BYTES = 40n;

/**
 * The end of what was written, from `pg_current_wal_insert_lsn()`.
 *
 * When the last record ends with its page, that function names the place behind the next page's header, where nothing lies yet
 * (`XLogBytePosToRecPtr`). A replica reports the end of the record (`EndRecPtr`), so it would look stale until something else is written.
 */
export function endOfWal(insertLsn: Lsn, walSegmentBytes: number): Lsn {
  const inSegment = insertLsn % BigInt(walSegmentBytes);
  if (inSegment === LONG_HEADER_BYTES) return lsn(insertLsn - LONG_HEADER_BYTES);
  const inPage = insertLsn % PAGE_BYTES;
  return inPage === SHORT_HEADER_BYTES && inSegment !== SHORT_HEADER_BYTES
    ? lsn(insertLsn - SHORT_HEADER_BYTES)
    : insertLsn;
}

/**
 * What tells the end of a commit: in a Sync group of its own behind the write, in one flush, or behind `COMMIT;` in one Query. Inside the
 * write's own group it names the *start* of the commit record (measured: a replica at that LSN lacks the row). Other functions lag with asynchronous commits.
 */
export const PG_CAPTURE_SQL = 'SELECT pg_catalog.pg_current_wal_insert_lsn()';

/** What tells a replica's position, in a Sync group of its own behind a read. */
export const PG_APPLIED_SQL = 'SELECT pg_catalog.pg_last_wal_replay_lsn()';

/**
 * Fails with 22012 on a replica that has not applied `$1` yet, and so keeps the server from running the read behind it in one Sync group.
 * Only for a read of its own at READ COMMITTED: a snapshot that is older than the guard proves nothing.
 */
export const PG_GUARD_SQL =
  'SELECT 1/(CASE WHEN pg_catalog.pg_last_wal_replay_lsn() >= $1::pg_catalog.pg_lsn THEN 1 ELSE 0 END)';

/** What `PG_GUARD_SQL` fails with when the replica is behind. */
export const PG_GUARD_SQLSTATE = '22012';
