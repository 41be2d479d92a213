import { accessSync, chmodSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reasonOf } from '@understudy/base';
import { z } from 'zod';
import { ServersError } from './errors.ts';

const here = dirname(fileURLToPath(import.meta.url));
const packageFileSchema = z.object({ name: z.string().optional() });

/** The checkout that this source file belongs to, or null when the package was installed from a registry. */
export function projectFolder(): string | null {
  for (let folder = here; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (!existsSync(file)) continue;
    const parsed = packageFileSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
    if (parsed.success && parsed.data.name === 'understudy-workspace') return folder;
  }
  return null;
}

function userCacheFolder(name: 'servers' | 'templates'): string {
  const base = process.env.XDG_CACHE_HOME;
  return join(base !== undefined && base !== '' ? base : join(homedir(), '.cache'), 'understudy', name);
}

const systemTemplates = '/var/cache/understudy/templates';

/**
 * The folder for empty databases that are made once and copied from then on; made when it does not exist. As root it is one that the
 * server's user can pass through, which root's home is not.
 *
 * @throws ServersError `CACHE_UNWRITABLE`
 */
export function templateFolder(): string {
  const folder = process.getuid?.() === 0 ? systemTemplates : userCacheFolder('templates');
  try {
    mkdirSync(folder, { recursive: true });
    if (folder === systemTemplates) for (const path of [dirname(folder), folder]) chmodSync(path, 0o755);
    return folder;
  } catch (error) {
    throw new ServersError('CACHE_UNWRITABLE', `${folder} cannot be made: ${reasonOf(error)}.`, {
      next: 'Make it, or its parent, writable.',
    });
  }
}

/**
 * The folders in which fetched servers may lie, best first: `UNDERSTUDY_CACHE` alone when it is set; otherwise
 * `.cache/servers` of the checkout, then `~/.cache/understudy/servers` (`XDG_CACHE_HOME` respected).
 */
export function cacheFolders(): string[] {
  const chosen = process.env.UNDERSTUDY_CACHE;
  if (chosen !== undefined && chosen !== '') return [resolve(chosen)];
  const project = projectFolder();
  const own = userCacheFolder('servers');
  return project === null ? [own] : [join(project, '.cache', 'servers'), own];
}

/**
 * The first cache folder that this user can write; made when it does not exist.
 *
 * @throws ServersError `CACHE_UNWRITABLE` with the reason for each folder tried.
 */
export function writableCacheFolder(): string {
  const reasons: string[] = [];
  for (const folder of cacheFolders()) {
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK | constants.X_OK);
      return folder;
    } catch (error) {
      reasons.push(`${folder}: ${reasonOf(error)}`);
    }
  }
  const text = `No cache folder can be written (${reasons.join('; ')}).`;
  throw new ServersError('CACHE_UNWRITABLE', text, { next: 'Set UNDERSTUDY_CACHE to a folder that can.' });
}
