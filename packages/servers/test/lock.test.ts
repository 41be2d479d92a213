import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withLock } from '../src/lock.ts';

let folder = '';
let file = '';
const ignoreWait = (): void => undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
  file = join(folder, '.lock');
});

afterEach(() => rm(folder, { recursive: true }));

async function holderProcess(): Promise<ChildProcess> {
  const module = fileURLToPath(new URL('../src/lock.ts', import.meta.url));
  const script = `import { withLock } from ${JSON.stringify(module)};
    await withLock(${JSON.stringify(file)}, 1000, () => {}, () => { console.log('held'); return new Promise(() => setInterval(() => {}, 1000)); });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

test('one at a time within a process', async () => {
  let inside = 0;
  let insideMax = 0;
  const work = async (): Promise<void> => {
    inside += 1;
    insideMax = Math.max(insideMax, inside);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 4 }, () => withLock(file, 30_000, ignoreWait, work)));
  assert.equal(insideMax, 1);
});

test('a lock held by another process is waited for with an end, and is free once that process is killed', async (t) => {
  const child = await holderProcess();
  t.after(() => child.kill('SIGKILL'));
  let waits = 0;
  const onWait = (): void => {
    waits += 1;
  };
  await assert.rejects(
    withLock(file, 50, onWait, async () => undefined),
    { code: 'LOCK_TIMEOUT', retry: 'safe' },
  );
  assert.equal(waits, 1);
  child.kill('SIGKILL');
  assert.equal(await withLock(file, 30_000, ignoreWait, async () => 'mine'), 'mine');
});

test('the lock is free after work that failed', async () => {
  await assert.rejects(
    withLock(file, 1000, ignoreWait, () => Promise.reject(new Error('work failed'))),
    /work failed/,
  );
  assert.equal(await withLock(file, 1000, ignoreWait, async () => 'again'), 'again');
});

test('a folder that cannot hold a lock is an error with the next step', async () => {
  const path = join(folder, 'gone', '.lock');
  await assert.rejects(
    withLock(path, 1000, ignoreWait, async () => undefined),
    {
      code: 'CACHE_UNWRITABLE',
      message: /UNDERSTUDY_CACHE/,
    },
  );
});
