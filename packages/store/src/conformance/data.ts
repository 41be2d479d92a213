/** Conformance: reads and transactions. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Revision } from '@understudy/base';
import type { Compare, Write } from '../port.ts';
import { CALL, commit, Handles, increment, put, rejectsWith, type StoreFixture, values } from './fixture.ts';

export function dataTests(fixture: () => StoreFixture): void {
  it('starts empty, and says the same store id to everybody', async (t) => {
    const [a, b] = await new Handles(fixture(), t).openPair();
    const [one, two] = await Promise.all([a.read(CALL), b.read(CALL)]);
    assert.equal(one.entries.size, 0);
    assert.ok(one.storeId.length > 0);
    assert.equal(one.storeId, two.storeId);
  });

  it('keeps values as they are: empty, long, and any Unicode, in keys too', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const state: Record<string, string> = {
      empty: '',
      'nul \u0000 inside': 'a\u0000b\u0000',
      'emoji/😀': '👩‍👩‍👧‍👦 and e\u0301 and \uFEFF',
      'line\nbreak\t"quoted" \\': '{"json": "text"}\r\n',
      'the last code point': '\u{10FFFF}',
      'long/value': 'Ω'.repeat(300_000),
    };
    for (const [key, value] of Object.entries(state)) await put(store, key, value);
    assert.deepEqual(values(await store.read(CALL)), state);
  });

  it('counts revisions: up with every committed write, not with a rejected or an empty one', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const first = await put(store, 'a', '1');
    const second = await commit(
      store,
      [],
      [
        { kind: 'put', key: 'a', value: '2' },
        { kind: 'put', key: 'b', value: '2' },
      ],
    );
    assert.ok(second > first);
    const rejected = await store.transact([{ kind: 'absent', key: 'a' }], [{ kind: 'delete', key: 'a' }], CALL);
    assert.equal(rejected.kind, 'rejected');
    await commit(store, [{ kind: 'exists', key: 'a' }], []);
    const { entries, revision } = await store.read(CALL);
    assert.ok(revision >= second);
    assert.equal(entries.get('a')?.createRevision, first);
    assert.equal(entries.get('a')?.modRevision, second);
    assert.equal(entries.get('b')?.createRevision, second);
    assert.equal(entries.get('b')?.modRevision, second);
    assert.equal(entries.get('a')?.lease, null);
  });

  it('gives a key that was deleted and made again a new create revision', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const first = await put(store, 'k', '1');
    await commit(store, [], [{ kind: 'delete', key: 'k' }]);
    assert.equal((await store.read(CALL)).entries.size, 0);
    const again = await put(store, 'k', '1');
    const entry = (await store.read(CALL)).entries.get('k');
    assert.ok(again > first);
    assert.equal(entry?.createRevision, again);
    const stale: Compare = { kind: 'unchanged', key: 'k', modRevision: first };
    assert.equal((await store.transact([stale], [{ kind: 'delete', key: 'k' }], CALL)).kind, 'rejected');
  });

  it('judges every compare as it is meant', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const at = await put(store, 'here', 'x');
    const none = 0 as Revision;
    const cases: [Compare, 'committed' | 'rejected'][] = [
      [{ kind: 'absent', key: 'gone' }, 'committed'],
      [{ kind: 'absent', key: 'here' }, 'rejected'],
      [{ kind: 'exists', key: 'gone' }, 'rejected'],
      [{ kind: 'exists', key: 'here' }, 'committed'],
      [{ kind: 'unchanged', key: 'here', modRevision: at }, 'committed'],
      [{ kind: 'unchanged', key: 'here', modRevision: (at - 1) as Revision }, 'rejected'],
      [{ kind: 'unchanged', key: 'gone', modRevision: at }, 'rejected'],
    ];
    for (const [compare, expected] of cases) {
      assert.equal((await store.transact([compare], [], CALL)).kind, expected, JSON.stringify(compare));
    }
    const never: Compare = { kind: 'unchanged', key: 'gone', modRevision: none };
    await rejectsWith(store.transact([never], [], CALL), 'invalid-argument');
  });

  it('writes all or nothing', async (t) => {
    const store = await new Handles(fixture(), t).open();
    await put(store, 'b', 'old');
    const writes: Write[] = [
      { kind: 'put', key: 'a', value: 'new' },
      { kind: 'delete', key: 'b' },
    ];
    const compares: Compare[] = [
      { kind: 'exists', key: 'b' },
      { kind: 'exists', key: 'a' },
    ];
    assert.equal((await store.transact(compares, writes, CALL)).kind, 'rejected');
    assert.deepEqual(values(await store.read(CALL)), { b: 'old' });
    await commit(store, compares.slice(0, 1), writes);
    assert.deepEqual(values(await store.read(CALL)), { a: 'new' });
  });

  it('never shows half of a transaction', async (t) => {
    const [writer, reader] = await new Handles(fixture(), t).openPair();
    let writing = true;
    const write = async () => {
      for (let n = 0; n < 60; n += 1) {
        const value = String(n);
        await commit(
          writer,
          [],
          ['x', 'y', 'z'].map((key) => ({ kind: 'put', key, value }) as const),
        );
      }
      writing = false;
    };
    const read = async () => {
      while (writing) {
        const { x, y, z } = values(await reader.read(CALL));
        assert.deepEqual([y, z], [x, x]);
      }
    };
    await Promise.all([write(), read(), read()]);
  });

  it('shows a confirmed write to every read that starts later', async (t) => {
    const [writer, reader] = await new Handles(fixture(), t).openPair();
    for (let n = 0; n < 50; n += 1) {
      const revision = await put(writer, 'k', String(n));
      const seen = await reader.read(CALL);
      assert.equal(seen.entries.get('k')?.value, String(n));
      assert.ok(seen.revision >= revision);
    }
  });

  it('lets exactly one of many win', async (t) => {
    const stores = await new Handles(fixture(), t).openMany(5);
    for (let round = 0; round < 5; round += 1) {
      const key = `leader-${round}`;
      const results = await Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          const store = stores[n % stores.length] ?? assert.fail();
          return store.transact([{ kind: 'absent', key }], [{ kind: 'put', key, value: String(n) }], CALL);
        }),
      );
      const winners = results.flatMap((result, n) => (result.kind === 'committed' ? [String(n)] : []));
      assert.equal(winners.length, 1);
      const store = stores[0] ?? assert.fail();
      assert.equal((await store.read(CALL)).entries.get(key)?.value, winners[0]);
    }
  });

  it('loses no increment of a counter that several agents compare and swap', async (t) => {
    const stores = await new Handles(fixture(), t).openMany(4);
    await Promise.all(
      stores.map(async (store) => {
        for (let n = 0; n < 10; n += 1) await increment(store, 'counter');
      }),
    );
    const store = stores[0] ?? assert.fail();
    assert.equal((await store.read(CALL)).entries.get('counter')?.value, '40');
  });

  it('keeps clusters apart, also when the name of one begins like that of another', async (t) => {
    const handles = new Handles(fixture(), t);
    const names = ['', '0', '.x', '-1'].map((suffix) => handles.cluster + suffix);
    for (const name of names) await put(await handles.open(name), 'k', name);
    for (const name of names) {
      assert.deepEqual(values(await (await handles.open(name)).read(CALL)), { k: name });
    }
  });

  it('refuses what it could not keep, before sending it', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const write = (key: string, value: string): Write => ({ kind: 'put', key, value });
    const refused: Write[][] = [
      [write('', 'x')],
      [write('k'.repeat(513), 'x')],
      [write('k', '\uD800')],
      [write('\uDFFF', 'x')],
      [write('k', 'x'.repeat(1024 * 1024))],
      [write('k', '1'), write('k', '2')],
      Array.from({ length: 129 }, (_, n) => write(`k${n}`, '')),
    ];
    for (const writes of refused) {
      const error = await rejectsWith(store.transact([], writes, CALL), 'invalid-argument');
      assert.equal(error.retry, 'unsafe');
    }
    await commit(store, [], refused.at(-1)?.slice(1) ?? []);
    assert.equal((await store.read(CALL)).entries.size, 128);
  });
}
