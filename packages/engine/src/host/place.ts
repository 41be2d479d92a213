import { readFile, readlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf } from '@understudy/base';
import { EngineError } from '../index.ts';
import { siblings } from './aside.ts';
import { entryAt, listFolder } from './files.ts';
import { realFolder } from './reach.ts';

const linksMax = 40;

/**
 * Where a data directory really is. Copies are made beside that place, on its file system, and put there by renaming; so the place itself
 * must be something that can be renamed.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED` for a mount point, and for a link to what is not there.
 */
export async function realDataDir(dataDir: string): Promise<string> {
  const real = await resolved(dataDir, linksMax);
  if (real !== dataDir && (await isAbsent(real)) && (await isLink(dataDir)) && !(await hasSiblings(real))) {
    const text = `The data directory ${dataDir} is a link to ${real}, which is not there.`;
    throw refused(`${text} Mount its disk, or make that folder.`);
  }
  if (!(await mountPoints()).has(real)) return real;
  const text = `The data directory ${real} is a mount point, and a new copy could not take its place.`;
  throw refused(`${text} Configure a folder below it, such as ${join(real, 'data')}.`);
}

const refused = (text: string): EngineError => new EngineError('ENGINE_DATA_REFUSED', text);

/** As `realpath`, also of what is not there (yet). */
async function resolved(path: string, left: number): Promise<string> {
  try {
    return await realFolder(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || left === 0) {
      throw refused(`The data directory ${path} cannot be found: ${error instanceof Error ? error.message : error}.`);
    }
  }
  if (await isLink(path)) return resolved(resolve(dirname(path), await readlink(path)), left - 1);
  const parent = dirname(path);
  return parent === path ? path : join(await resolved(parent, left - 1), basename(path));
}

const isLink = (path: string): Promise<boolean> =>
  entryAt(path).then(
    (entry) => entry?.isSymbolicLink() === true,
    () => false,
  );

const isAbsent = async (path: string): Promise<boolean> => (await entryAt(path)) === null;

/** A crash came between moving the old directory aside and putting the new one in its place. */
async function hasSiblings(dataDir: string): Promise<boolean> {
  return (await siblings(dataDir, 'aside')).length + (await siblings(dataDir, 'clone')).length > 0;
}

/** Every mount point that this process sees; none where the kernel does not tell. */
async function mountPoints(): Promise<ReadonlySet<string>> {
  const text = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const points = text.split('\n').map((line) => line.split(' ')[4] ?? '');
  return new Set(
    points.map((point) =>
      point.replaceAll(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8))),
    ),
  );
}

/**
 * Names in a data directory that are links: what they lead to is not part of a copy, so a copy would put it on the disk of the directory itself.
 *
 * @param handled names that an engine takes care of.
 */
export async function linksIn(dataDir: string, handled: readonly string[] = []): Promise<readonly string[]> {
  const entries = await listFolder(dataDir).catch(() => []);
  return entries.filter(({ kind, name }) => kind === 'link' && !handled.includes(name)).map(({ name }) => name);
}
