import { isAbsolute, join } from 'node:path';
import { entryAt, type Owner, readEnd, readIfThere } from '@understudy/engine/host';

const lastWordsBytes = 4000;
/** A server has one for each format. */
const filesMax = 4;

interface LogFile {
  readonly path: string;
  /** Who says that it is one: the server's user may name any file of the host, also one that it could not read. */
  readonly by: Owner;
}

/** What a server writes into: our log, and files of its own collector where one is configured. It appends to all of them. */
async function filesOf(dataDir: string, log: string): Promise<readonly LogFile[]> {
  const [text, folder] = await Promise.all([
    readIfThere(join(dataDir, 'current_logfiles')).catch(() => null),
    entryAt(dataDir),
  ]);
  const named = (text ?? '').split('\n').flatMap((line) => (/^\S+ (.+)$/.exec(line)?.[1] ?? '') || []);
  const by = folder === null || folder.uid === process.geteuid?.() ? null : { uid: folder.uid, gid: folder.gid };
  const collected = named
    .slice(0, filesMax)
    .map((file) => ({ path: isAbsolute(file) ? file : join(dataDir, file), by }));
  return [{ path: log, by: null }, ...collected];
}

/** How long each file of the log is, by its path: what an earlier server wrote ends there. */
export async function logSizes(dataDir: string, log: string): Promise<ReadonlyMap<string, number>> {
  const files = await filesOf(dataDir, log);
  return new Map(await Promise.all(files.map(async (file) => [file.path, (await endOf(file, 0)).size] as const)));
}

/** The end of what the server wrote before it ended, but nothing of what stood in its log before (`sizes`). */
export async function lastWords(dataDir: string, log: string, sizes: ReadonlyMap<string, number>): Promise<string> {
  const files = await filesOf(dataDir, log);
  const ends = await Promise.all(files.map((file) => endOf(file, sizes.get(file.path) ?? 0)));
  // The one that was written last has what happened last.
  const said = ends.filter(({ text }) => text !== '').sort((a, b) => a.mtimeMs - b.mtimeMs);
  return said.at(-1)?.text ?? '';
}

/** What is no log says nothing. */
const endOf = ({ path, by }: LogFile, from: number) =>
  readEnd(path, lastWordsBytes, from, by).catch(() => ({ size: 0, mtimeMs: 0, text: '' }));
