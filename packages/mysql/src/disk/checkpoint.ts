import { basename, join } from 'node:path';
import { openToRead, readAt, withFile } from '@understudy/engine/host';
import { binlogName, logFiles } from './binlog-files.ts';

const headerBytes = 19;
/** MariaDB's event that names the oldest file of the binary log which a recovery would read. */
const checkpointType = 161;
/** It comes with the first events of a file. */
const lookedAtBytes = 64 * 1024;

/**
 * The files of MariaDB's binary log that a recovery may change, oldest first: from the one on that the newest file named at its own
 * beginning. (What it names later is never older.)
 *
 * @returns null when the newest file does not say, as when it is encrypted or was just begun.
 */
export async function filesToRecover(dataDir: string): Promise<readonly string[] | null> {
  const files = await logFiles(dataDir, binlogName);
  const newest = files.at(-1);
  if (newest === undefined) return null;
  const first = firstCheckpoint(
    await withFile(openToRead(join(dataDir, newest)), (file) => readAt(file, 0, lookedAtBytes)),
  );
  const from = first === null ? -1 : files.indexOf(first);
  return from === -1 ? null : files.slice(from);
}

/** The file that the first such event in the beginning of a log names; null when there is none. */
export function firstCheckpoint(log: Buffer): string | null {
  let at = 4;
  while (at + headerBytes + 4 <= log.length) {
    const length = log.readUInt32LE(at + 9);
    if (length < headerBytes || at + length > log.length) return null;
    if (log.readUInt8(at + 4) === checkpointType) {
      const nameAt = at + headerBytes + 4;
      return basename(log.toString('latin1', nameAt, nameAt + log.readUInt32LE(nameAt - 4)));
    }
    at += length;
  }
  return null;
}
