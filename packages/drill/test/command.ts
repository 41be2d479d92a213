import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));
const patroniMain = fileURLToPath(new URL('../src/bench/patroni/main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Folders and networks that it has left behind. */
  readonly traces: readonly string[];
}

type OnLine = (text: string, interrupt: () => void) => void;

/** Runs `understudy drill` as a user would. `onLine` sees what it has said so far. */
export const drill = (args: readonly string[], onLine?: OnLine): Promise<Ended> =>
  program([main, 'drill', ...args], onLine);

/** Runs `npm run bench:patroni` as a user would. */
export const benchPatroni = (args: readonly string[], onLine?: OnLine): Promise<Ended> =>
  program([patroniMain, ...args], onLine);

async function program(args: readonly string[], onLine: OnLine = () => undefined): Promise<Ended> {
  const folder = await mkdtemp(join(tmpdir(), 'us-drill-test-'));
  // Like /tmp itself: servers run as another user.
  await chmod(folder, 0o1777);
  const env = { ...process.env, TMPDIR: folder };
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
    onLine(stderr, () => child.kill('SIGINT'));
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const traces = [...(await readdir(folder)), ...(await networksOf(child.pid ?? 0))];
  await rm(folder, { recursive: true, force: true });
  return { code, stdout, stderr, traces };
}

async function networksOf(pid: number): Promise<string[]> {
  const folder = '/run/understudy/networks';
  const names = await readdir(folder).catch((): string[] => []);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8').catch(() => '')));
  return texts.filter((text) => text.includes(`"pid":${pid},`));
}
