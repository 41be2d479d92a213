import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { namespacesObjection } from '@understudy/local';
import { z } from 'zod';
import { defaultFaults } from '../src/options.ts';

const main = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));

const milliseconds = z.number().int().min(0);
/** What `--json` promises, to the letter. */
const reportSchema = z.strictObject({
  engine: z.literal('postgres'),
  version: z.string().regex(/^\d+\.\d+/),
  store: z.enum(['local', 'etcd']),
  durability: z.literal('sync'),
  machine: z.string().min(1),
  faults: z.array(
    z.strictObject({
      fault: z.string(),
      runs: z.number(),
      outageMs: z.strictObject({ min: milliseconds, p50: milliseconds, max: milliseconds }),
      phasesMs: z.record(z.enum(['detect', 'seal', 'choose', 'promote', 'reconnect']), milliseconds.nullable()),
      acked: z.number().int(),
      lost: z.number().int(),
      resurrected: z.number().int(),
      unknown: z.number().int(),
      dualAck: z.number().int(),
      unprotected: z.number().int(),
      dualWritableMsMax: milliseconds,
      converged: z.boolean(),
      whole: z.strictObject({
        runs: z.number().int(),
        afterMs: z.strictObject({ min: milliseconds, p50: milliseconds, max: milliseconds }),
      }),
      problems: z.array(z.strictObject({ run: z.number().int(), text: z.string() })),
    }),
  ),
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Folders and networks that it has left behind. */
  readonly traces: readonly string[];
}

/** Runs `understudy drill` as a user would. `onLine` sees what it has said so far. */
async function drill(
  args: readonly string[],
  onLine: (text: string, interrupt: () => void) => void = () => undefined,
): Promise<Ended> {
  const folder = await mkdtemp(join(tmpdir(), 'us-drill-test-'));
  // Like /tmp itself: servers run as another user.
  await chmod(folder, 0o1777);
  const env = { ...process.env, TMPDIR: folder };
  const child = spawn(process.execPath, [main, 'drill', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
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

test('every fault of the figures once: nothing is lost, all nodes come together, nothing is left behind', async () => {
  const { code, stdout, stderr, traces } = await drill(['--runs', '1', '--calm-ms', '700', '--json']);
  const report = reportSchema.parse(JSON.parse(stdout), { error: () => stderr });
  const expected = defaultFaults.filter((name) => name !== 'partition' || namespacesObjection() === null);
  assert.deepEqual(
    report.faults.map(({ fault }) => fault),
    expected,
    stderr,
  );
  for (const result of report.faults) {
    const { fault, lost, resurrected, dualAck, converged, acked } = result;
    assert.deepEqual(
      { fault, lost, resurrected, dualAck, converged },
      { fault, lost: 0, resurrected: 0, dualAck: 0, converged: true },
      stderr,
    );
    assert.ok(acked > 100, `${fault}: only ${acked} writes`);
  }
  assert.equal(code, 0, stderr);
  assert.deepEqual(traces, []);
});

test('an interrupted drill heals, ends everything and says so', async () => {
  let isSent = false;
  const { code, stderr, traces } = await drill(
    ['--faults', 'kill-replica', '--runs', '5', '--calm-ms', '500'],
    (text, kill) => {
      // After the first run there is a cluster with a workload, and a second run has begun.
      if (isSent || !text.includes('kill-replica 1/5')) return;
      isSent = true;
      kill();
    },
  );
  assert.equal(code, 130, stderr);
  assert.match(stderr, /Interrupted; the cluster was ended\./);
  assert.deepEqual(traces, []);
});

test('a wrong option is refused before anything is started', async () => {
  const { code, stderr, traces } = await drill(['--faults', 'meteorite']);
  assert.equal(code, 2);
  assert.match(stderr, /--faults: is not one of kill-database/);
  assert.deepEqual(traces, []);
});
