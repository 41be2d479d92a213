import { execFile, type SpawnOptions, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildAll } from '../../tools/build/build.ts';

const execute = promisify(execFile);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const npmTimeoutMs = 5 * 60_000;
const commandTimeoutMs = 4 * 60_000;

/** A project of a user's own in which Understudy was installed from the packages that `npm run build` lays out. */
export interface Installed {
  readonly folder: string;
  /** Runs `understudy ARGS` as that project's npm would: standard output, trimmed. Throws with what it printed when it fails. */
  run(args: readonly string[]): Promise<string>;
  remove(): Promise<void>;
}

/** Builds, packs and installs. Nothing of the checkout but its fetched servers can be reached from the result. */
export async function installPacked(): Promise<Installed> {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-installed-'));
  // As root the server's own user has to reach its data below it.
  chmodSync(folder, 0o755);
  const built = await buildAll(root, (name) => join(folder, 'built', basename(name)));
  const packed = join(folder, 'packed');
  mkdirSync(packed);
  const folders = built.map((one) => one.folder);
  await execute('npm', ['pack', '--silent', '--pack-destination', packed, ...folders], { timeout: npmTimeoutMs });
  const project = join(folder, 'project');
  mkdirSync(project);
  const tarballs = built.map(({ name }) => [name, `file:${join(packed, tarballOf(name))}`] as const);
  const manifest = { name: 'a-project', private: true, dependencies: Object.fromEntries(tarballs) };
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest));
  const options = { cwd: project, timeout: npmTimeoutMs, env: environment(folder) };
  await execute('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], options);
  const command = join(project, 'node_modules', '.bin', 'understudy');
  return {
    folder,
    run: (args) => runToEnd(command, args, { cwd: project, env: environment(folder) }),
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** `@understudy/core` is packed as `understudy-core-0.1.0.tgz`. */
function tarballOf(name: string): string {
  return `${name.replace('@', '').replace('/', '-')}-0.1.0.tgz`;
}

/** Node 24 alone, a home of its own, and the servers that the checkout has fetched. */
function environment(folder: string): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(UNDERSTUDY_|NODE_|npm_(command|lifecycle))/.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    PATH: [dirname(process.execPath), process.env.PATH ?? ''].join(delimiter),
    HOME: join(folder, 'home'),
    UNDERSTUDY_CACHE: join(root, '.cache', 'servers'),
  };
}

/** `execFile` would wait for the cluster of `up --detach`, which keeps the pipes of its starter. */
async function runToEnd(command: string, args: readonly string[], options: SpawnOptions): Promise<string> {
  const child = spawn(command, [...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'], timeout: commandTimeoutMs });
  const said = { out: '', err: '' };
  child.stdout?.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (code !== 0) throw new Error(`understudy ${args.join(' ')} ended with ${code}:\n${said.out}\n${said.err}`);
  return said.out.trim();
}
