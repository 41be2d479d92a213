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

/** What a standby says in its ordinary life may sound like damage ("invalid record length at …"): only what ends a server counts. */
const grave = /\b(FATAL|PANIC)\b/;
/** A line with its severity. With translated ones there is none, and no message of damage that is understood either. */
const graded = /\b(LOG|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT):/;

/** @param log what a server wrote since it was started, or what we say of it. */
export function causeOf(log: string): StartFailures['cause'] {
  if (otherwise.some((pattern) => pattern.test(log))) return 'unknown';
  const lines = log.split(/\n| \/ /);
  const telling = lines.some((line) => graded.test(line)) ? lines.filter((line) => grave.test(line)) : lines;
  return telling.some((line) => damaged.some((pattern) => pattern.test(line))) ? 'data' : 'unknown';
}
