/**
 * Goal: the local store is right whatever happens to the processes that share it. Method: several real processes that
 * compare and swap one counter, killed and frozen at random moments and in the middle of a transaction.
 */

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it, type TestContext } from 'node:test';
import { StoreError } from '@understudy/store';
import { WatchLog } from '@understudy/store/conformance';
import { type LocalPlace, makeLocalPlace } from './support/local.ts';
import { endChild, isRunning, startChild, waitUntil } from './support/process.ts';

const PROGRAM = join(import.meta.dirname, 'support', 'counting-process.ts');
const CALL = { deadlineMs: 10_000 };
const PATIENCE_MS = 60_000;

class Counter {
  readonly child: ChildProcess;
  readonly acknowledged: number[] = [];

  constructor(place: LocalPlace) {
    this.child = startChild(process.execPath, [PROGRAM, 'count', place.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    this.child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      // A killed process may have printed half of a number; it counts as not acknowledged.
      rest = lines.pop() ?? '';
      this.acknowledged.push(...lines.map(Number));
    });
  }

  get alive(): boolean {
    return isRunning(this.child);
  }

  /** Kills the process and waits until all it printed was read. */
  async kill(): Promise<void> {
    if (!this.alive) return;
    const closed = once(this.child, 'close');
    await endChild(this.child, 'SIGKILL');
    await closed;
  }
}

function setUp(t: TestContext): { place: LocalPlace; counters: Counter[]; total: () => number } {
  const place = makeLocalPlace();
  const counters: Counter[] = [];
  t.after(async () => {
    for (const { child } of counters) await endChild(child, 'SIGKILL');
    place.remove();
  });
  return { place, counters, total: () => counters.reduce((sum, counter) => sum + counter.acknowledged.length, 0) };
}

/** Nothing acknowledged is lost or counted twice; at most one write of each killed process was not acknowledged. */
async function checkCount(place: LocalPlace, counters: readonly Counter[]): Promise<void> {
  const store = await place.open();
  const final = Number((await store.read(CALL)).entries.get('n')?.value);
  await store.close();
  const acknowledged = counters.flatMap((counter) => counter.acknowledged);
  assert.equal(new Set(acknowledged).size, acknowledged.length, 'a value was committed twice');
  assert.ok(Math.max(...acknowledged) <= final, 'an acknowledged write is gone');
  assert.ok(final <= acknowledged.length + counters.length, `${final} for ${acknowledged.length} acknowledged`);
  const db = new DatabaseSync(place.path);
  assert.deepEqual({ ...db.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' });
  db.close();
}

it('loses and doubles nothing while processes are killed at random moments', async (t) => {
  const { place, counters, total } = setUp(t);
  for (let n = 0; n < 3; n += 1) counters.push(new Counter(place));
  const watcher = await place.open();
  const log = WatchLog.start(watcher);
  for (let round = 0; round < 12; round += 1) {
    const goal = total() + 20 + Math.floor(Math.random() * 20);
    await waitUntil('more increments', PATIENCE_MS, async () => total() >= goal);
    const alive = counters.filter((counter) => counter.alive);
    assert.equal(alive.length, 3);
    const victim = alive[round % 3] ?? assert.fail();
    await victim.kill();
    counters.push(new Counter(place));
  }
  for (const counter of counters) await counter.kill();
  await checkCount(place, counters);
  const final = (await watcher.read(CALL)).entries.get('n')?.value;
  await log.until('the last value', ({ entries }) => entries.get('n')?.value === final);
  await log.close();
  await watcher.close();
});

it('goes on after processes were frozen at random moments, and killed where they were', async (t) => {
  const { place, counters, total } = setUp(t);
  for (let n = 0; n < 3; n += 1) counters.push(new Counter(place));
  const store = await place.open();
  t.after(() => store.close());
  for (let round = 0; round < 8; round += 1) {
    const goal = total() + 20;
    await waitUntil('more increments', PATIENCE_MS, async () => total() >= goal);
    const frozen = counters.at(-1) ?? assert.fail();
    frozen.child.kill('SIGSTOP');
    // Frozen with the lock or without it: both happen. With it, nobody gets a turn, and is told who has it.
    try {
      await store.transact([], [{ kind: 'put', key: 'other', value: String(round) }], { deadlineMs: 200 });
    } catch (error) {
      assert.ok(error instanceof StoreError && error.retry === 'safe', String(error));
    }
    if (round % 2 === 0) {
      frozen.child.kill('SIGCONT');
    } else {
      await frozen.kill();
      counters.push(new Counter(place));
    }
  }
  for (const counter of counters) await counter.kill();
  await checkCount(place, counters);
});

it('tells who holds the lock when a process is frozen in the middle of a transaction, without blocking', async (t) => {
  const { place } = setUp(t);
  const store = await place.open();
  t.after(() => store.close());
  await store.transact([], [{ kind: 'put', key: 'k', value: 'before' }], CALL);
  const holder = startChild(process.execPath, [PROGRAM, 'hold', place.path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => endChild(holder, 'SIGKILL'));
  const { stdout, pid } = holder;
  assert.ok(stdout !== null && pid !== undefined);
  await once(stdout, 'data');

  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 10);
  const write = store.transact([], [{ kind: 'put', key: 'k', value: 'during' }], { deadlineMs: 1_000 });
  const error = await write.then(
    () => assert.fail('the lock was held'),
    (thrown: unknown) => thrown,
  );
  clearInterval(timer);
  assert.ok(error instanceof StoreError);
  assert.equal(error.code, 'deadline-exceeded');
  assert.equal(error.retry, 'safe');
  assert.match(error.message, new RegExp(`process ${pid} \\(stopped\\)`));
  assert.ok(turns >= 5, `the event loop had ${turns} turns in a second`);

  // Readers do not wait for writers.
  assert.equal((await store.read({ deadlineMs: 1_000 })).entries.get('k')?.value, 'before');
  await endChild(holder, 'SIGKILL');
  const result = await store.transact([{ kind: 'exists', key: 'k' }], [{ kind: 'delete', key: 'k' }], CALL);
  assert.equal(result.kind, 'committed');
  assert.ok(result.revision < 1_000, 'half a transaction of the killed process was kept');
});

it('is made by several processes at once', async (t) => {
  const { place } = setUp(t);
  const openers = Array.from({ length: 6 }, () => {
    const child = startChild(process.execPath, [PROGRAM, 'open', place.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    return readAll(child);
  });
  assert.deepEqual(new Set(await Promise.all(openers)), new Set(['opened\n']));
  assert.equal(statSync(place.path).mode & 0o777, 0o600);
});

async function readAll(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  await once(child, 'close');
  return text;
}
