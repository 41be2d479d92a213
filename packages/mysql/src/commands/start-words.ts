import type { StartFailures } from '@understudy/core';

/**
 * What servers say of a data directory that is damaged, or lacks something. Not of settings, memory, ports or rights: with those a copy
 * would not start either.
 */
const damaged = [
  /corrupt/i,
  /\bis (missing|damaged|truncated)\b/i,
  /database page (read|corruption)/i,
  /header page consists of zero bytes/i,
  /invalid (page|flags|redo|log block|checksum)/i,
  /checksum mismatch/i,
  /(can't|cannot|could not|unable to|failed to) (find|open|read|locate|load) .*(ibdata|ibd\b|undo|redo|ib_logfile|aria_log|mysql\.|tablespace|data dictionary|checkpoint)/i,
  /(aria|maria).*(recovery failed|control file|wrong|not a)/i,
  /failed to initialize dd storage engine|data dictionary initialization failed/i,
  /got error .* when reading table/i,
  /assertion failure/i,
  /missing mlog_checkpoint|no valid checkpoint|redo log .*(not found|missing)/i,
  /table '?.?mysql[./].*(doesn't exist|not found)/i,
];

/** These are no damage, whatever else is said because of them. */
const otherwise = [
  /cannot allocate memory|out of memory/i,
  /unknown (variable|option)|unrecognized option|illegal or unknown/i,
  /lower_case_table_names/i,
  /innodb_page_size/i,
  /only supported (up|down)grade|created by|downgrade/i,
  /no space left|read-only file system|permission denied|errno: 13\b|unable to lock/i,
];

/** @param log what a server wrote since it was started. */
export function causeOf(log: string): StartFailures['cause'] {
  // Notes name settings and versions too.
  const errors = log
    .split('\n')
    .filter((line) => /\[ERROR\]|assertion failure/i.test(line))
    .join('\n');
  if (otherwise.some((pattern) => pattern.test(errors))) return 'unknown';
  return damaged.some((pattern) => pattern.test(errors)) ? 'data' : 'unknown';
}

/** The first error line of a server's log, without its time and thread; null when there is none. */
export function saying(log: string): string | null {
  const line = log.split('\n').find((one) => /\[ERROR\]/.test(one));
  return line?.replace(/^.*?\[ERROR\]\s*/, '').trim() ?? null;
}
