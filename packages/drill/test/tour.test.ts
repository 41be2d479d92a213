// Goal: what the tour compares is exact, and every difference is named. Method: values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { transactionsIn } from '../src/tour/bench.ts';
import { differences } from '../src/tour/checksums.ts';
import { orderOf, sumsOf } from '../src/tour/retail.ts';

test('an order is what its number says, and money stays exact', () => {
  assert.deepEqual(orderOf(1), orderOf(1));
  assert.match(sumsOf([1, 5, 9]), /^North 0\.00, South \d+\.\d\d, East 0\.00, West 0\.00$/);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), (ref) => {
      const { cents, date, region } = orderOf(ref);
      assert.ok(Number.isInteger(cents) && cents >= 100 && cents < 1_000_000);
      assert.match(date, /^2026-\d\d-\d\d$/);
      assert.ok(sumsOf([ref]).includes(`${region} ${Math.floor(cents / 100)}.`));
    }),
  );
});

test('a table that differs, or that only one node has, is named', () => {
  const leader = new Map([
    ['retail_db.orders', '7'],
    ['sbtest.sbtest1', '8'],
  ]);
  assert.deepEqual(differences('n2', 'n1', new Map(leader), leader), []);
  assert.deepEqual(
    differences(
      'n2',
      'n1',
      new Map([
        ['retail_db.orders', '6'],
        ['x.y', '1'],
      ]),
      leader,
    ),
    ['retail_db.orders: 6 on n2, 7 on n1', 'sbtest.sbtest1: missing on n2, 8 on n1', 'x.y: 1 on n2, missing on n1'],
  );
});

test('what sysbench and pgbench say of their rates is summed', () => {
  assert.equal(transactionsIn('[ 1s ] thds: 4 tps: 120.50 qps: 2410.1\n[ 2s ] thds: 4 tps: 99.50 qps: 1'), 220);
  assert.equal(transactionsIn('progress: 1.0 s, 250.0 tps, lat 3.9 ms stddev 1\nprogress: 2.0 s, 50.0 tps'), 300);
  assert.equal(transactionsIn('sysbench 1.0.20'), 0);
});
