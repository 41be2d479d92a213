import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ServersError } from './errors.ts';
import { wrapPrograms } from './own-loader.ts';
import { judgePackages, type OfferedPackage, offeredPackages, type Pins, pins, type Verdict } from './pins.ts';
import {
  type Archive,
  archiveKeys,
  downloadTimeoutMs,
  type PrivateApt,
  preparePrivateApt,
  runApt,
} from './private-apt.ts';
import type { DebianRecipe } from './recipe.ts';
import { type RunResult, run, tailOf } from './run.ts';

const unpackTimeoutMs = 2 * 60_000;
const compareTimeoutMs = 10_000;

/** `notice`: something that a person has to know, and that is not drawn over. */
type Report = (step: 'index' | 'download' | 'unpack' | 'notice', fraction: number | null, text: string) => void;

/** Whom to believe about packages. */
export interface Trust {
  readonly archive: Archive;
  readonly pins: Pins;
}

const trustOf = ({ suite }: DebianRecipe): Trust => ({
  archive: { address: null, keys: archiveKeys },
  pins: pins[suite],
});

/**
 * Downloads Debian packages with the machine's own apt, from the archive that the machine itself uses, and unpacks them
 * into a folder. apt verifies the index's signature with Debian's keys and the digests with the index; versions and digests are
 * compared with those that were tested. Nothing is installed.
 *
 * @param folder a new, empty folder: the root of the unpacked tree.
 * @throws ServersError `PLATFORM_UNSUPPORTED`, `TOOL_MISSING`, `FETCH_FAILED`.
 */
export async function fetchFromDebian(
  recipe: DebianRecipe,
  folder: string,
  report: Report,
  trust = trustOf(recipe),
): Promise<void> {
  const work = join(folder, '.apt');
  const apt = await preparePrivateApt(recipe.suite, work, trust.archive);
  await updateIndex(apt, recipe, report);
  const offered = await offeredBy(apt, recipe);
  sayOrRefuse(await judgePackages(offered, trust.pins, isOlderVersion), recipe, report);
  await downloadPackages(apt, recipe, report);
  await verifyArchives(join(work, 'debs'), offered);
  report('unpack', null, 'unpacking');
  await unpackAll(join(work, 'debs'), folder);
  await rm(work, { recursive: true });
  for (const path of recipe.remove) await rm(join(folder, path), { recursive: true, force: true });
  if (recipe.libraries.kind === 'own-loader') await wrapPrograms(folder, recipe.libraries);
}

/** Unpacks every `.deb` of one folder into another, in the way of `dpkg -x`: no script of a package is run. */
async function unpackAll(debs: string, folder: string): Promise<void> {
  for (const name of await readdir(debs)) {
    const result = await run('dpkg', ['-x', join(debs, name), folder], { timeoutMs: unpackTimeoutMs });
    if (result.code === 0) continue;
    throw new ServersError('FETCH_FAILED', `dpkg could not unpack ${name}: ${tailOf(result)}.`, {
      next: 'Is the disk full?',
    });
  }
}

async function updateIndex(apt: PrivateApt, recipe: DebianRecipe, report: Report): Promise<void> {
  const text = `reading the package index of Debian ${recipe.suite}`;
  report('index', 0, text);
  const update = (extra: readonly string[]): Promise<RunResult> =>
    runApt('apt-get', ['update', '-q', ...extra], apt.env, downloadTimeoutMs, (part) => report('index', part, text));
  let result = await update([]);
  // A frozen mirror serves an index past its date, and so does somebody who replays one: the versions are compared below.
  if (result.code !== 0 && /is expired|not valid yet/i.test(result.stderr)) {
    const why = 'is not of today: a mirror that stands still, or somebody who hides newer packages';
    report(
      'notice',
      null,
      `The package index of Debian ${recipe.suite} ${why}. It is taken because its signature is good.`,
    );
    result = await update(['-o', 'Acquire::Check-Valid-Until=false', '-o', 'Acquire::Check-Date=false']);
  }
  if (result.code === 0) return;
  const cause = `apt could not read the index of Debian ${recipe.suite}: ${tailOf(result)}`;
  throw new ServersError('FETCH_FAILED', `${cause}.`, {
    next: 'Check that "apt-get update" works on this machine, then try again.',
  });
}

async function downloadPackages(apt: PrivateApt, recipe: DebianRecipe, report: Report): Promise<void> {
  const text = `downloading ${recipe.packages.length} packages of Debian ${recipe.suite} (about ${recipe.downloadMb} MB)`;
  report('download', 0, text);
  const onFraction = (part: number): void => report('download', part, text);
  const args = ['download', '-q', ...recipe.packages];
  const result = await runApt('apt-get', args, apt.env, downloadTimeoutMs, onFraction, join(apt.folder, 'debs'));
  if (result.code === 0) return;
  const cause = `apt could not download from Debian ${recipe.suite}: ${tailOf(result)}`;
  throw new ServersError('FETCH_FAILED', `${cause}.`, {
    next: 'Check the network and the free disk space, then try again.',
  });
}

/** What the index offers for the packages of a recipe, without downloading any. */
async function offeredBy(apt: PrivateApt, recipe: DebianRecipe): Promise<readonly OfferedPackage[]> {
  const args = ['download', '--print-uris', ...recipe.packages];
  const result = await runApt('apt-get', args, apt.env, downloadTimeoutMs);
  const offered = offeredPackages(result.stdout);
  const missing = recipe.packages.filter((name) => !offered.some((each) => each.package === name));
  if (result.code === 0 && missing.length === 0) return offered;
  const cause = `The index of Debian ${recipe.suite} has no digest of ${missing.join(', ')}: ${tailOf(result)}`;
  throw new ServersError('FETCH_FAILED', `${cause}.`, {
    next: 'Check that "apt-get update" works on this machine, then try again.',
  });
}

function sayOrRefuse(verdict: Verdict, { suite }: DebianRecipe, report: Report): void {
  if (verdict.kind === 'as-tested') return;
  if (verdict.kind === 'refused') {
    const next = 'Nothing was taken. Report this; name a binDir of your own meanwhile.';
    throw new ServersError('FETCH_FAILED', `Debian ${suite}: ${verdict.problem}.`, { retry: 'unsafe', next });
  }
  const names = verdict.packages.map((each) => `${each.package} ${each.version}`);
  const rest = names.length > 3 ? ` and ${names.length - 3} more` : '';
  const text = `Debian ${suite} has newer packages than those tested with this version: ${names.slice(0, 3).join(', ')}${rest}.`;
  report('notice', null, `${text} They are taken, as Debian signed them.`);
}

/** apt has compared too; this does not rest on its settings. */
async function verifyArchives(debs: string, offered: readonly OfferedPackage[]): Promise<void> {
  const expected = new Set(offered.map(({ sha256 }) => sha256));
  const files = await readdir(debs);
  for (const name of files) {
    const digest = createHash('sha256')
      .update(await readFile(join(debs, name)))
      .digest('hex');
    if (expected.delete(digest)) continue;
    throw new ServersError('FETCH_FAILED', `${name} is not the archive that the index names.`, { next: 'Try again.' });
  }
  if (expected.size === 0) return;
  throw new ServersError('FETCH_FAILED', `${expected.size} packages are missing after the download.`, {
    next: 'Try again.',
  });
}

async function isOlderVersion(one: string, other: string): Promise<boolean> {
  const result = await run('dpkg', ['--compare-versions', one, 'lt', other], { timeoutMs: compareTimeoutMs });
  return result.code === 0;
}

/** What an archive offers now, as the table of pins has it: for whoever tests a new version of Understudy. */
export async function offeredNow(recipe: DebianRecipe, folder: string): Promise<readonly OfferedPackage[]> {
  const apt = await preparePrivateApt(recipe.suite, folder, { address: null, keys: archiveKeys });
  await updateIndex(apt, recipe, () => undefined);
  return offeredBy(apt, recipe);
}
