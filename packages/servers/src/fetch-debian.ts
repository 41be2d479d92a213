import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, ServersError } from './errors.ts';
import { wrapPrograms } from './own-loader.ts';
import type { DebianRecipe } from './recipe.ts';
import { type RunResult, run, tailOf } from './run.ts';

const downloadTimeoutMs = 5 * 60_000;
const unpackTimeoutMs = 2 * 60_000;
const archiveKeys = '/usr/share/keyrings/debian-archive-keyring.gpg';

type Report = (step: 'index' | 'download' | 'unpack', fraction: number | null, text: string) => void;

/** A private apt: its own sources, lists, status and cache, so it needs no root and changes nothing on the system. */
interface PrivateApt {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Downloads Debian packages with the machine's own apt, from the archive that the machine itself uses, and unpacks them
 * into a folder. apt verifies signatures and digests with the machine's keys; nothing is installed.
 *
 * @param folder a new, empty folder: the root of the unpacked tree.
 * @throws ServersError `PLATFORM_UNSUPPORTED`, `TOOL_MISSING`, `FETCH_FAILED`.
 */
export async function fetchFromDebian(recipe: DebianRecipe, folder: string, report: Report): Promise<void> {
  const work = join(folder, '.apt');
  const apt = await preparePrivateApt(recipe.suite, work);
  await updateIndex(apt, recipe, report);
  await downloadPackages(apt, recipe, report);
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
    throw new ServersError(
      'FETCH_FAILED',
      `dpkg could not unpack ${name}: ${tailOf(result)}. Is the disk full?`,
      'safe',
    );
  }
}

async function preparePrivateApt(suite: string, folder: string): Promise<PrivateApt> {
  const archive = await archiveAddress();
  const folders = ['lists/partial', 'cache/archives/partial', 'debs', 'log', 'none'];
  for (const name of folders) await mkdir(join(folder, name), { recursive: true });
  const keys = existsSync(archiveKeys) ? ` signed-by=${archiveKeys}` : '';
  const source = `deb [arch=amd64 lang=none target=Packages${keys}] ${archive} ${suite} main\n`;
  await writeFile(join(folder, 'sources.list'), source);
  await writeFile(join(folder, 'status'), '');
  const config = join(folder, 'apt.conf');
  // The machine's transport settings may hold a proxy's password.
  await writeFile(config, `${settings(folder).join('\n')}\n${await transportSettings()}`, { mode: 0o600 });
  return { folder, env: { APT_CONFIG: config } };
}

function settings(folder: string): string[] {
  const values = {
    'Dir::Etc::main': '/dev/null',
    'Dir::Etc::parts': join(folder, 'none'),
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': join(folder, 'none'),
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': join(folder, 'none'),
    'Dir::State': folder,
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    'Dir::Log': join(folder, 'log'),
    'APT::Architecture': 'amd64',
    'APT::Architectures': 'amd64',
    // As root apt would drop to a user of its own, who cannot enter a 0700 folder.
    'APT::Sandbox::User': 'root',
    // Without this a failed download is a warning and the exit code 0.
    'APT::Update::Error-Mode': 'any',
    'Acquire::Retries': '3',
    'Acquire::http::Timeout': '30',
    'Acquire::https::Timeout': '30',
  };
  return Object.entries(values).map(([name, value]) => `${name} "${value}";`);
}

/** The address of the Debian archive that this machine is configured with. */
async function archiveAddress(): Promise<string> {
  const format = '$(REPO_URI) $(CODENAME)';
  const result = await runApt('apt-get', ['indextargets', '--format', format], {}, 30_000);
  const targets = result.stdout.split('\n').map((line) => line.trim().split(' '));
  // Security and update suites live in archives that need not carry other releases.
  const main = targets.find(([address, codename]) => address && codename && !codename.includes('-'));
  if (main?.[0] !== undefined) return main[0];
  const text = 'This machine has no Debian archive configured (apt-get indextargets lists none).';
  throw new ServersError('FETCH_FAILED', `${text} Add one to /etc/apt/sources.list.d, run apt-get update, try again.`);
}

/** Proxies, certificates and the like from the machine's apt configuration, which the private one does not read. */
async function transportSettings(): Promise<string> {
  const dump = await runApt('apt-config', ['dump'], {}, 30_000);
  const wanted = /^Acquire::(http|https|mirror|tor|ForceIPv4|ForceIPv6|Check-Date|Check-Valid-Until)\b/i;
  const lines = dump.stdout.split('\n').filter((line) => wanted.test(line) && !/::Timeout /i.test(line));
  return `${lines.join('\n')}\n`;
}

async function updateIndex(apt: PrivateApt, recipe: DebianRecipe, report: Report): Promise<void> {
  const text = `reading the package index of Debian ${recipe.suite}`;
  report('index', 0, text);
  const update = (extra: readonly string[]): Promise<RunResult> =>
    runApt('apt-get', ['update', '-q', ...extra], apt.env, downloadTimeoutMs, (part) => report('index', part, text));
  let result = await update([]);
  // A frozen mirror serves an index past its date; its signature is verified all the same.
  if (result.code !== 0 && /is expired|not valid yet/i.test(result.stderr)) {
    result = await update(['-o', 'Acquire::Check-Valid-Until=false', '-o', 'Acquire::Check-Date=false']);
  }
  if (result.code === 0) return;
  const cause = `apt could not read the index of Debian ${recipe.suite}: ${tailOf(result)}`;
  throw new ServersError(
    'FETCH_FAILED',
    `${cause}. Check that "apt-get update" works on this machine, then try again.`,
    'safe',
  );
}

async function downloadPackages(apt: PrivateApt, recipe: DebianRecipe, report: Report): Promise<void> {
  const text = `downloading ${recipe.packages.length} packages of Debian ${recipe.suite} (about ${recipe.downloadMb} MB)`;
  report('download', 0, text);
  const onFraction = (part: number): void => report('download', part, text);
  const args = ['download', '-q', ...recipe.packages];
  const result = await runApt('apt-get', args, apt.env, downloadTimeoutMs, onFraction, join(apt.folder, 'debs'));
  if (result.code === 0) return;
  const cause = `apt could not download from Debian ${recipe.suite}: ${tailOf(result)}`;
  throw new ServersError(
    'FETCH_FAILED',
    `${cause}. Check the network and the free disk space, then try again.`,
    'safe',
  );
}

async function runApt(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  timeoutMs: number,
  onFraction?: (fraction: number) => void,
  cwd = '/',
): Promise<RunResult> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const text = `Debian's packages are fetched for Linux on x86-64 only; this is ${process.platform} ${process.arch}.`;
    throw new ServersError('PLATFORM_UNSUPPORTED', `${text} Install the server and put it on PATH.`);
  }
  const statusArgs = onFraction ? ['-o', 'APT::Status-Fd=3'] : [];
  const onStatusLine = onFraction ? readStatus(onFraction) : undefined;
  try {
    return await run(program, [...args, ...statusArgs], {
      env,
      timeoutMs,
      cwd,
      ...(onStatusLine ? { onStatusLine } : {}),
    });
  } catch (error) {
    if (!(error instanceof ServersError) || error.code !== 'TOOL_MISSING') throw error;
    const text = `${reasonOf(error)} Fetching needs apt, as on Debian. Install the server yourself and put it on PATH.`;
    throw new ServersError('TOOL_MISSING', text, 'unsafe', error);
  }
}

/** apt's status lines: `dlstatus:<item>:<percent>:<text>`. */
function readStatus(onFraction: (fraction: number) => void): (line: string) => void {
  return (line) => {
    const percent = Number(/^dlstatus:\d+:([\d.]+):/.exec(line)?.[1]);
    if (Number.isFinite(percent)) onFraction(Math.min(1, percent / 100));
  };
}
