import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The base name that we give the binary log. */
export const binlogName = 'binlog';

/** The newest file of the binary log in a data directory; null when there is none. */
export async function newestBinlog(dataDir: string): Promise<{ name: string; sizeBytes: number } | null> {
  const files = (await readdir(dataDir)).filter((name) => new RegExp(`^${binlogName}\\.\\d{6,}$`).test(name));
  // Numbers grow a digit after 999999.
  const [name] = files.toSorted((a, b) => b.length - a.length || (a < b ? 1 : -1));
  return name === undefined ? null : { name, sizeBytes: (await stat(join(dataDir, name))).size };
}
