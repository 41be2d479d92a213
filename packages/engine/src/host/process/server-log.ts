import { type Owner, openToRead, readAt, readEnd, withFile } from '../files.ts';

/** A file that a server appends its messages to. */
export interface LogFile {
  readonly path: string;
  /** Who says that it is one: the server's user may name any file of the host, also one that it could not read. */
  readonly by: Owner;
}

const endOf = ({ path, by }: LogFile, maxBytes: number, from: number) =>
  // What is no log says nothing.
  readEnd(path, maxBytes, from, by).catch(() => ({ size: 0, mtimeMs: 0, text: '' }));

/** How long each file of a log is, by its path: what an earlier server wrote ends there. */
export async function logSizes(files: readonly LogFile[]): Promise<ReadonlyMap<string, number>> {
  return new Map(await Promise.all(files.map(async (file) => [file.path, (await endOf(file, 1, 0)).size] as const)));
}

/** The end of what a server wrote before it ended, but nothing of what stood in its log before (`sizes`). */
export async function lastWords(
  files: readonly LogFile[],
  sizes: ReadonlyMap<string, number>,
  maxBytes: number,
): Promise<string> {
  const ends = await Promise.all(files.map((file) => endOf(file, maxBytes, sizes.get(file.path) ?? 0)));
  // The one that was written last has what happened last.
  const said = ends.filter(({ text }) => text !== '').sort((a, b) => a.mtimeMs - b.mtimeMs);
  return said.at(-1)?.text ?? '';
}

/** What a server wrote first, from byte `from` on. */
export function firstWords(path: string, from: number, maxBytes: number): Promise<string> {
  return withFile(openToRead(path), async (file) => (await readAt(file, from, maxBytes)).toString('utf8'));
}
