import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from '@understudy/base';
import { ServersError } from './errors.ts';
import type { DebianRecipe } from './recipe.ts';
import { type RunResult, run } from './run.ts';

export const downloadTimeoutMs = 5 * 60_000;

/** The keys of Debian's archive as Debian's own package installs them; no other key is believed. */
export const archiveKeys = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Where packages come from, and whose signature their index must carry. */
export interface Archive {
  /** As in sources.list; null: the Debian archive that this machine is configured with. */
  readonly address: string | null;
  readonly keys: string;
}

/** A private apt: its own sources, lists, status and cache, so it needs no root and changes nothing on the system. */
export interface PrivateApt {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Makes the folders and settings of a private apt.
 *
 * @throws ServersError `TOOL_MISSING` where the archive's keys are not, `FETCH_FAILED` where they are not to be believed
 */
export async function preparePrivateApt(
  suite: DebianRecipe['suite'],
  folder: string,
  { address, keys }: Archive,
): Promise<PrivateApt> {
  await refuseForeignKeys(keys);
  const archive = address ?? (await archiveAddress());
  const folders = ['lists/partial', 'cache/archives/partial', 'debs', 'log', 'none'];
  for (const name of folders) await mkdir(join(folder, name), { recursive: true });
  const source = `deb [arch=amd64 lang=none target=Packages signed-by=${keys}] ${archive} ${suite} main\n`;
  await writeFile(join(folder, 'sources.list'), source);
  await writeFile(join(folder, 'status'), '');
  const config = join(folder, 'apt.conf');
  // The machine's transport settings may hold a proxy's password.
  await writeFile(config, `${settings(folder).join('\n')}\n${await transportSettings()}`, { mode: 0o600 });
  return { folder, env: { APT_CONFIG: config } };
}

/** Without this file apt would believe every key of the machine, and whoever can write to it signs what is run here. */
async function refuseForeignKeys(keys: string): Promise<void> {
  const found = await stat(keys).catch(() => null);
  if (found === null) {
    const text = `The keys of Debian's archive are not on this machine (${keys}).`;
    throw new ServersError('TOOL_MISSING', text, {
      next: 'Install debian-archive-keyring, or the server itself, and put it on PATH.',
    });
  }
  if ((found.uid === 0 || found.uid === process.getuid?.()) && (found.mode & 0o022) === 0) return;
  const text = `${keys} can be changed by others than root (owner ${found.uid}, mode ${(found.mode & 0o777).toString(8)}).`;
  throw new ServersError('FETCH_FAILED', text, { retry: 'unsafe', next: 'Install debian-archive-keyring anew.' });
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
  throw new ServersError('FETCH_FAILED', text, {
    retry: 'unsafe',
    next: 'Add one to /etc/apt/sources.list.d, run apt-get update, try again.',
  });
}

/** Proxies, certificates and the like from the machine's apt configuration, which the private one does not read; nothing about trust. */
async function transportSettings(): Promise<string> {
  const dump = await runApt('apt-config', ['dump'], {}, 30_000);
  const wanted = /^Acquire::(http|https|mirror|tor|ForceIPv4|ForceIPv6)\b/i;
  const lines = dump.stdout.split('\n').filter((line) => wanted.test(line) && !/::Timeout /i.test(line));
  return `${lines.join('\n')}\n`;
}

export async function runApt(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  timeoutMs: number,
  onFraction?: (fraction: number) => void,
  cwd = '/',
): Promise<RunResult> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const text = `Debian's packages are fetched for Linux on x86-64 only; this is ${process.platform} ${process.arch}.`;
    throw new ServersError('PLATFORM_UNSUPPORTED', text, { next: 'Install the server and put it on PATH.' });
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
    const text = `${reasonOf(error)} Fetching needs apt, as on Debian.`;
    throw new ServersError('TOOL_MISSING', text, {
      next: 'Install the server yourself and put it on PATH.',
      cause: error,
    });
  }
}

/** apt's status lines: `dlstatus:<item>:<percent>:<text>`. */
function readStatus(onFraction: (fraction: number) => void): (line: string) => void {
  return (line) => {
    const percent = Number(/^dlstatus:\d+:([\d.]+):/.exec(line)?.[1]);
    if (Number.isFinite(percent)) onFraction(Math.min(1, percent / 100));
  };
}
