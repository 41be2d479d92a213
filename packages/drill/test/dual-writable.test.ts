import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dualWritableMs } from '../src/check/dual-writable.ts';
import { sample } from './histories.ts';

test('one writable node is none too many', () => {
  assert.equal(
    dualWritableMs([sample('a', 0, 'writable'), sample('b', 10, 'read-only'), sample('a', 50, 'writable')]),
    0,
  );
});

test('two writable nodes are counted as long as both say so', () => {
  const samples = [
    sample('a', 0, 'writable'),
    sample('a', 50, 'writable'),
    sample('a', 100, 'unreachable'),
    sample('b', 30, 'writable'),
    sample('b', 80, 'writable'),
    sample('b', 130, 'writable'),
  ];
  assert.equal(dualWritableMs(samples), 70);
});

test('a node that says nothing any more is not taken to be writable for long', () => {
  const frozen = [sample('a', 0, 'writable'), sample('a', 6000, 'unreachable')];
  const successor = Array.from({ length: 100 }, (_, index) => sample('b', 1000 + 50 * index, 'writable'));
  assert.equal(dualWritableMs([...frozen, ...successor]), 0);
});

test('never longer than the time that was watched, and the order of the samples does not matter', () => {
  const samples = fc.array(
    fc.record({
      node: fc.constantFrom('a', 'b', 'c'),
      atMs: fc.nat({ max: 1000 }),
      state: fc.constantFrom('writable', 'read-only', 'unreachable'),
    }),
    { maxLength: 50 },
  );
  fc.assert(
    fc.property(samples, (list) => {
      const seen = [
        ...new Map(list.map((each) => [`${each.node}${each.atMs}`, sample(each.node, each.atMs, each.state)])).values(),
      ];
      const totalMs = dualWritableMs(seen);
      assert.ok(totalMs >= 0 && totalMs <= 1060);
      assert.equal(dualWritableMs(seen.toReversed()), totalMs);
      if (new Set(seen.filter(({ state }) => state === 'writable').map(({ node }) => node)).size < 2)
        assert.equal(totalMs, 0);
    }),
  );
});
