import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkSet, type Tried } from '../src/check/set.ts';
import { op } from './histories.ts';

test('an acknowledged insert that is not there is lost', () => {
  const verdict = checkSet([op(1), op(2)], new Set([2]));
  assert.deepEqual(verdict, { lost: [1], resurrected: [], unexpected: [], recovered: 0 });
});

test('a failed insert that is there is resurrected', () => {
  assert.deepEqual(checkSet([op(1, { outcome: 'fail' })], new Set([1])).resurrected, [1]);
});

test('a row that nobody tried to insert is unexpected', () => {
  assert.deepEqual(checkSet([op(1)], new Set([1, 99])).unexpected, [99]);
});

test('an insert of unknown outcome may be there or not', () => {
  const tried = [op(1, { outcome: 'info' }), op(2, { outcome: 'info' })];
  assert.deepEqual(checkSet(tried, new Set([2])), { lost: [], resurrected: [], unexpected: [], recovered: 1 });
});

const history = fc.uniqueArray(
  fc.record({ id: fc.nat({ max: 500 }), outcome: fc.constantFrom('ok', 'fail', 'info') }),
  { selector: ({ id }) => id, maxLength: 60 },
);

/** What a correct database may hold: all acknowledged, none of the failed, any of the unknown. */
function faithful(tried: readonly Tried[], coin: (id: number) => boolean): Set<number> {
  return new Set(
    tried.filter(({ id, outcome }) => outcome === 'ok' || (outcome === 'info' && coin(id))).map(({ id }) => id),
  );
}

test('whatever a correct database holds is accepted', () => {
  fc.assert(
    fc.property(history, fc.func(fc.boolean()), (tried: Tried[], coin) => {
      const { lost, resurrected, unexpected } = checkSet(tried, faithful(tried, coin));
      assert.deepEqual([lost, resurrected, unexpected], [[], [], []]);
    }),
  );
});

test('every planted violation is found, and named by its id', () => {
  fc.assert(
    fc.property(history, fc.nat({ max: 59 }), (tried: Tried[], pick) => {
      const victim = tried[pick % Math.max(1, tried.length)];
      const present = faithful(tried, () => false);
      present.add(1000);
      if (victim?.outcome === 'ok') present.delete(victim.id);
      if (victim?.outcome === 'fail') present.add(victim.id);
      const verdict = checkSet(tried, present);
      assert.deepEqual(verdict.unexpected, [1000]);
      assert.deepEqual(verdict.lost, victim?.outcome === 'ok' ? [victim.id] : []);
      assert.deepEqual(verdict.resurrected, victim?.outcome === 'fail' ? [victim.id] : []);
    }),
  );
});
