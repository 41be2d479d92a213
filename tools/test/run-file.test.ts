// Goal: a test file that fails, crashes, hangs or leaves something running is never taken for a good one.
// Method: write such files into a folder, run them with the real runner, look at the outcome.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Outcome } from './events.ts';
import { runFile } from './run-file.ts';

let folder = '';
const timeoutMs = 60_000;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runner-'));
});

after(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function outcomeOf(name: string, lines: readonly string[], limitMs = timeoutMs): Promise<Outcome> {
  const file = `${name}.test.mjs`;
  await writeFile(join(folder, file), ["import { describe, test } from 'node:test';", ...lines].join('\n'));
  const scratch = join(folder, name);
  await mkdir(scratch);
  const { signal } = new AbortController();
  return runFile({ root: folder, file, name, scratch, timeoutMs: limitMs, signal });
}

test('passes and skips are counted, a suite is not a test', async () => {
  const outcome = await outcomeOf('good', [
    "describe('suite', () => { test('one', () => {}); test('two', () => {}); });",
    "test('three', { skip: 'not here' }, () => {});",
  ]);
  assert.deepEqual(
    { ...outcome, durationMs: 0 },
    { name: 'good', passed: 2, skipped: 1, failures: [], output: '', durationMs: 0 },
  );
});

test('a failure shows what was thrown, and counts once although it is nested', async () => {
  const outcome = await outcomeOf('bad', [
    "test('outer', async (t) => { await t.test('inner', () => { throw new Error('the cause'); }); });",
  ]);
  assert.equal(outcome.failures.length, 1);
  assert.equal(outcome.failures[0]?.title, 'outer › inner (line 2)');
  assert.match(outcome.failures[0]?.text ?? '', /the cause/);
});

test('a process that dies in the middle is a failure that names the running test and shows its output', async () => {
  const outcome = await outcomeOf('crash', [
    "test('dies', () => new Promise(() => { console.log('last words'); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 100); }));",
  ]);
  assert.equal(outcome.failures[0]?.title, 'the process ended before its tests did (signal SIGKILL)');
  assert.match(outcome.failures[0]?.text ?? '', /dies/);
  assert.match(outcome.output, /last words/);
});

test('leaving with exit code 0 in the middle is a failure', async () => {
  const outcome = await outcomeOf('leaves', [
    "test('leaves', () => process.exit(0));",
    "test('never runs', () => {});",
  ]);
  assert.match(outcome.failures[0]?.title ?? '', /ended before its tests did|ended with exit code 0 without a test/);
});

test('an exception outside the tests is a failure', async () => {
  const outcome = await outcomeOf('throws', ["test('fine', () => {});", "throw new Error('outside');"]);
  assert.notEqual(outcome.failures.length, 0);
  assert.match(JSON.stringify(outcome), /outside/);
});

test('a file without a test is a failure', async () => {
  const outcome = await outcomeOf('empty', ['describe;', 'test;']);
  assert.equal(outcome.failures[0]?.title, 'it ended with exit code 0 without a test');
});

test('a file that hangs is killed at its limit, with the test that was running', async () => {
  const outcome = await outcomeOf(
    'hangs',
    ["test('waits', () => new Promise(() => setInterval(() => {}, 1000)));"],
    1500,
  );
  assert.match(outcome.failures[0]?.title ?? '', /did not end within 1.5 s, killed/);
  assert.match(outcome.failures[0]?.text ?? '', /waits/);
});

test('processes left running are a failure, named and killed, in whatever process group they are', async () => {
  const outcome = await outcomeOf('leaks', [
    "import { spawn } from 'node:child_process';",
    "test('starts three', () => {",
    "  spawn('sleep', ['3601'], { stdio: 'ignore' }).unref();",
    "  spawn('sleep', ['3602'], { stdio: 'ignore', detached: true }).unref();",
    "  spawn('sleep', ['3603'], { stdio: 'ignore', detached: true, env: {}, cwd: process.env.TMPDIR }).unref();",
    '});',
  ]);
  assert.equal(outcome.passed, 1);
  assert.equal(outcome.failures[0]?.title, 'left processes running (killed now)');
  const pids = [...(outcome.failures[0]?.text ?? '').matchAll(/^(\d+) sleep 360/gm)].map((match) => Number(match[1]));
  assert.equal(pids.length, 3);
  // Empty for a process that is gone, and for one that only waits for init to take note of it.
  for (const pid of pids) assert.equal(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''), '');
});

test('TMPDIR of a file is its own and is gone afterwards', async () => {
  const outcome = await outcomeOf('temporary', [
    "import { mkdtempSync, existsSync } from 'node:fs';",
    "import { tmpdir } from 'node:os';",
    "test('writes', () => { if (!tmpdir().includes('temporary')) throw new Error(tmpdir()); mkdtempSync(tmpdir() + '/x-'); });",
  ]);
  assert.deepEqual(outcome.failures, []);
  await assert.rejects(rm(join(folder, 'temporary')), { code: 'ENOENT' });
});
