import type { StartFailures } from '@understudy/core';

/**
 * What a server says of a data directory that is damaged, or lacks something. Not of settings, memory, ports or rights: with those a copy
 * would not start either.
 */
const damaged = [
  /could not locate (a valid|required) checkpoint record/i,
  /invalid (primary |secondary )?checkpoint/i,
  /could not find redo location/i,
  /could not (open|read|stat|access) (file|directory) "?(global|base|pg_wal|pg_xact|pg_multixact|pg_subtrans|pg_commit_ts|pg_logical|pg_filenode)/i,
  /invalid (page|data|magic number|record|length of (primary|secondary) checkpoint)/i,
  /incorrect (checksum|resource manager)/i,
  /calculated crc checksum does not match|invalid checksum|contains incorrect checksum/i,
  /relation mapping file/i,
  /is not a child of this server's history/i,
  /wal ends before (end of online backup|consistent recovery point)/i,
  /\bis (missing|truncated|corrupt)/i,
  /lacks the log file/i,
];

const otherwise = [
  /invalid value for parameter|unrecognized configuration parameter|configuration file .* contains errors/i,
  /could not (map|create|resize) .*shared memory|cannot allocate memory|out of memory/i,
  /insufficient parameter settings|could not access file "/i,
  /permission denied|no space left|read-only file system/i,
];

/** @param log what a server wrote since it was started. */
export function causeOf(log: string): StartFailures['cause'] {
  if (otherwise.some((pattern) => pattern.test(log))) return 'unknown';
  return damaged.some((pattern) => pattern.test(log)) ? 'data' : 'unknown';
}
