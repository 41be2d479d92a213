import { existsSync } from 'node:fs';
import { lstat, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { codeOf, reasonOf } from '@understudy/base';
import { z } from 'zod';
import { ServersError } from './errors.ts';
import { postgresPackage } from './recipes-postgres.ts';

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() })).max(1000);

/** Folder of the PostgreSQL package that came with `npm install`, or null on a platform that it does not serve. */
export function bundledPostgresFolder(): string | null {
  try {
    const entry = createRequire(import.meta.url).resolve(postgresPackage);
    return dirname(dirname(entry));
  } catch {
    return null;
  }
}

/**
 * Makes the library symlinks that an npm archive cannot carry; the package does it in a postinstall script, which npm may
 * have been told not to run. Links that exist are left alone, so any number of processes may do this at once.
 *
 * @param folder of the unpacked package (holds `native/pg-symlinks.json`).
 * @throws ServersError `SERVER_BROKEN` when a link is missing and cannot be made.
 */
export async function hydrateLinks(folder: string): Promise<void> {
  const file = join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(file)) return;
  for (const { source, target } of linksSchema.parse(JSON.parse(await readFile(file, 'utf8')))) {
    const link = resolve(folder, target);
    const pointsTo = resolve(folder, source);
    if (!isInside(folder, link) || !isInside(folder, pointsTo)) {
      throw new ServersError('SERVER_BROKEN', `${file} names a link outside its package (${target}).`, {
        next: 'Reinstall it.',
      });
    }
    await makeLink(relative(dirname(link), pointsTo), link);
  }
}

function isInside(folder: string, path: string): boolean {
  return path.startsWith(resolve(folder) + sep);
}

async function makeLink(to: string, link: string): Promise<void> {
  const exists = await lstat(link).then(
    () => true,
    () => false,
  );
  if (exists) return;
  try {
    await symlink(to, link);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    const text = `Could not make the library link ${link}: ${reasonOf(error)}.`;
    throw new ServersError('SERVER_BROKEN', text, {
      retry: 'safe',
      next: 'Run the same command once as its owner.',
      cause: error,
    });
  }
}
