import { join } from 'node:path';
import { entryAt, namesIn, type Owner, replaceFile } from '@understudy/engine/host';

/** The base name that we give the binary log. */
export const binlogName = 'binlog';

/** The base name that we give the relay log, which holds what was received. */
export const relayLogName = 'relay';

/** The files of a log in a data directory, oldest first. */
export async function logFiles(dataDir: string, baseName: string): Promise<readonly string[]> {
  const files = (await namesIn(dataDir)).filter((name) => new RegExp(`^${baseName}\\.\\d{6,}$`).test(name));
  // Numbers grow a digit after 999999.
  return files.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
}

/** The newest file of the binary log in a data directory; null when there is none. */
export async function newestBinlog(dataDir: string): Promise<{ name: string; sizeBytes: number } | null> {
  const name = (await logFiles(dataDir, binlogName)).at(-1);
  const entry = name === undefined ? null : await entryAt(join(dataDir, name));
  return name === undefined || entry === null ? null : { name, sizeBytes: entry.size };
}

/**
 * Tells a copy of MariaDB, before its first start, where its own log begins: behind `position` (the GTIDs of `gtid_slave_pos`). A server
 * without a log reads it from this file; without it, it would take its log for complete, and turn away replicas that are just there.
 */
export async function writeBinlogState(dataDir: string, position: string, owner: Owner): Promise<void> {
  const gtids = position.split(',').map((gtid) => gtid.trim());
  await replaceFile(join(dataDir, `${binlogName}.state`), `${gtids.join('\n')}\n`, owner);
}
