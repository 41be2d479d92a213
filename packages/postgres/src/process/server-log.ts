import { open } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { readIfThere } from '@understudy/engine/host';

const lastWordsBytes = 4000;

/** What a server writes into: our log, and files of its own collector where one is configured. It appends to all of them. */
async function filesOf(dataDir: string, log: string): Promise<readonly string[]> {
  const collected = ((await readIfThere(join(dataDir, 'current_logfiles'))) ?? '').split('\n');
  const named = collected.flatMap((line) => (/^\S+ (.+)$/.exec(line)?.[1] ?? '') || []);
  return [log, ...named].map((file) => (isAbsolute(file) ? file : join(dataDir, file)));
}

/** How long each file of the log is, by its path: what an earlier server wrote ends there. */
export async function logSizes(dataDir: string, log: string): Promise<ReadonlyMap<string, number>> {
  const files = await filesOf(dataDir, log);
  return new Map(await Promise.all(files.map(async (file) => [file, (await endOf(file, 0)).size] as const)));
}

/** The end of what the server wrote before it ended, but nothing of what stood in its log before (`sizes`). */
export async function lastWords(dataDir: string, log: string, sizes: ReadonlyMap<string, number>): Promise<string> {
  const files = await filesOf(dataDir, log);
  const ends = await Promise.all(files.map((file) => endOf(file, sizes.get(file) ?? 0)));
  // The one that was written last has what happened last.
  const said = ends.filter(({ text }) => text !== '').sort((a, b) => a.mtimeMs - b.mtimeMs);
  return said.at(-1)?.text ?? '';
}

async function endOf(file: string, from: number) {
  try {
    const handle = await open(file, 'r');
    try {
      const { size, mtimeMs } = await handle.stat();
      // A file that has become shorter was begun anew.
      const begin = Math.max(size < from ? 0 : from, size - lastWordsBytes);
      const buffer = Buffer.alloc(size - begin);
      await handle.read(buffer, 0, buffer.length, begin);
      return { size, mtimeMs, text: buffer.toString('utf8') };
    } finally {
      await handle.close();
    }
  } catch {
    return { size: 0, mtimeMs: 0, text: '' };
  }
}
