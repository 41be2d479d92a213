/** Conformance: watches, deadlines and closing. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { StoreError } from '../errors.ts';
import type { Snapshot } from '../port.ts';
import { CALL, commit, Handles, increment, put, rejectsWith, type StoreFixture, values } from './fixture.ts';
import { WatchLog } from './watch-log.ts';

export function watchTests(fixture: () => StoreFixture): void {
  it('begins with what is there, and then shows changes and deletions', async (t) => {
    const [writer, watcher] = await new Handles(fixture(), t).openPair();
    await put(writer, 'a', '1');
    const log = WatchLog.start(watcher);
    const first = await log.until('the first state', () => true);
    assert.deepEqual(values(first), { a: '1' });
    const revision = await put(writer, 'b', '2');
    const second = await log.until('the new key', ({ entries }) => entries.has('b'));
    assert.deepEqual(values(second), { a: '1', b: '2' });
    assert.ok(second.revision >= revision);
    assert.equal(second.entries.get('b')?.createRevision, revision);
    await commit(writer, [], [{ kind: 'delete', key: 'a' }]);
    assert.deepEqual(values(await log.until('the deletion', ({ entries }) => !entries.has('a'))), { b: '2' });
    await log.close();
  });

  it('shows a state to begin with even when the store is empty', async (t) => {
    const log = WatchLog.start(await new Handles(fixture(), t).open());
    assert.equal((await log.until('the first state', () => true)).entries.size, 0);
    await log.close();
  });

  it('never misses the last state of a storm, nor goes back, nor shows half a transaction', async (t) => {
    const handles = new Handles(fixture(), t);
    const writers = await handles.openMany(3);
    const logs = (await handles.openMany(2)).map((store) => WatchLog.start(store));
    await Promise.all(
      writers.map(async (store, w) => {
        for (let n = 1; n <= 40; n += 1) {
          const value = String(n);
          await commit(
            store,
            [],
            [`x${w}`, `y${w}`].map((key) => ({ kind: 'put', key, value }) as const),
          );
        }
      }),
    );
    const final = { x0: '40', y0: '40', x1: '40', y1: '40', x2: '40', y2: '40' };
    for (const log of logs) {
      await log.until(
        'the last state',
        (s) => s.entries.size === 6 && [...s.entries.values()].every((e) => e.value === '40'),
      );
      assert.deepEqual(values(log.snapshots.at(-1) ?? assert.fail()), final);
      for (const { entries } of log.snapshots) {
        for (const w of [0, 1, 2]) assert.equal(entries.get(`x${w}`)?.value, entries.get(`y${w}`)?.value);
      }
      await log.close();
    }
  });

  it('serves several watches of one handle, each until it is closed', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const [one, two] = [WatchLog.start(store), WatchLog.start(store)];
    await put(store, 'a', '1');
    await one.until('a', ({ entries }) => entries.has('a'));
    await two.until('a', ({ entries }) => entries.has('a'));
    await one.close();
    await put(store, 'b', '1');
    await two.until('b', ({ entries }) => entries.has('b'));
    assert.equal(one.snapshots.at(-1)?.entries.has('b'), false);
    await two.close();
    one.check();
  });

  it('goes on after a listener threw', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const errors: StoreError[] = [];
    await new Promise<void>((resolve, reject) => {
      let thrown = false;
      store.watch({
        onSnapshot: (snapshot: Snapshot) => {
          if (snapshot.entries.has('done')) resolve();
          if (thrown) return;
          thrown = true;
          put(store, 'done', '1').catch(reject);
          throw new Error('a mistake');
        },
        onError: (error) => errors.push(error),
      });
    });
    assert.deepEqual(
      errors.map((error) => error.code),
      ['listener-failed'],
    );
  });

  it('survives what happens to a store', async (t) => {
    const handles = new Handles(fixture(), t);
    const [writer, watcher] = await handles.openPair();
    const log = WatchLog.start(watcher);
    for (const { name, run } of fixture().disturbances) {
      await increment(writer, 'before');
      await run();
      await increment(writer, 'after');
      const revision = await put(writer, 'disturbed', name);
      const seen = await log.until(name, ({ entries }) => entries.get('disturbed')?.value === name);
      assert.equal(seen.entries.get('disturbed')?.modRevision, revision);
      assert.equal(seen.entries.get('before')?.value, seen.entries.get('after')?.value);
    }
    await log.close();
  });
}

export function lifecycleTests(fixture: () => StoreFixture): void {
  it('refuses deadlines that are none', async (t) => {
    const store = await new Handles(fixture(), t).open();
    for (const deadlineMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await rejectsWith(store.read({ deadlineMs }), 'invalid-argument');
      await rejectsWith(store.transact([], [], { deadlineMs }), 'invalid-argument');
    }
  });

  it('says its name without secrets', async (t) => {
    const store = await new Handles(fixture(), t).open();
    assert.ok(store.describe().length > 0);
    for (const secret of fixture().secrets) assert.ok(!store.describe().includes(secret));
  });

  it('closes with calls and watches under way, twice, and then refuses every call', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const log = WatchLog.start(store);
    const pending = Promise.allSettled([store.read(CALL), put(store, 'k', '1'), store.grantLease(60_000, CALL)]);
    await store.close();
    await store.close();
    await pending;
    const id = 'gone' as Parameters<typeof store.revoke>[0];
    await rejectsWith(store.read(CALL), 'closed');
    await rejectsWith(store.transact([], [{ kind: 'delete', key: 'k' }], CALL), 'closed');
    await rejectsWith(store.grantLease(60_000, CALL), 'closed');
    await rejectsWith(store.keepAlive(id, CALL), 'closed');
    await rejectsWith(store.revoke(id, CALL), 'closed');
    assert.throws(() => store.watch(log), { code: 'closed' });
    await log.close();
  });
}
