import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkDualAck } from '../src/check/dual-ack.ts';
import type { Op } from '../src/workload/op.ts';
import { op } from './histories.ts';

test('one leader after the other is what should be', () => {
  const history = [op(1), op(2), op(3, { node: 'b', timeline: 2 }), op(4, { node: 'b', timeline: 2 })];
  assert.deepEqual(checkDualAck(history), []);
});

test('an answer of the old leader that only arrives late is no violation', () => {
  const late = op(1, { invokeMs: 10, completeMs: 500 });
  assert.deepEqual(checkDualAck([late, op(30, { node: 'b', timeline: 2 })]), []);
});

test('an old leader that acknowledges what was sent after its successor acknowledged is found', () => {
  const successor = op(10, { node: 'b', timeline: 2, invokeMs: 100, completeMs: 105 });
  const old = op(11, { node: 'a', timeline: 1, invokeMs: 106, completeMs: 110 });
  assert.deepEqual(checkDualAck([op(1), successor, old]), [{ kind: 'overlap', earlier: successor, later: old }]);
});

test('two nodes on one history line are found', () => {
  const [found] = checkDualAck([op(1), op(2, { node: 'b' })]);
  assert.equal(found?.kind, 'two-nodes');
});

test('what was not acknowledged proves nothing', () => {
  const history = [
    op(10, { node: 'b', timeline: 2 }),
    op(20, { outcome: 'info' }),
    op(21, { outcome: 'fail', timeline: null }),
  ];
  assert.deepEqual(checkDualAck(history), []);
});

/** Leaderships one after the other, each with some acknowledged inserts of its own. */
const successions = fc
  .array(fc.record({ node: fc.constantFrom('a', 'b', 'c'), count: fc.integer({ min: 1, max: 8 }) }), {
    minLength: 2,
    maxLength: 6,
  })
  .map((terms) => {
    const history: Op[] = [];
    for (const [index, { node, count }] of terms.entries()) {
      for (let each = 0; each < count; each += 1) history.push(op(history.length + 1, { node, timeline: index + 1 }));
    }
    return history;
  });

test('a proper succession is accepted, in whatever order it is listed', () => {
  fc.assert(
    fc.property(
      successions.chain((history) => fc.shuffledSubarray(history, { minLength: history.length })),
      (history) => assert.deepEqual(checkDualAck(history), []),
    ),
  );
});

test('a straggler of an earlier leader is found anywhere', () => {
  fc.assert(
    fc.property(successions, (history) => {
      const last = history.at(-1);
      assert.ok(last !== undefined);
      const straggler = op(9999, {
        node: history[0]?.node ?? 'a',
        timeline: 1,
        invokeMs: last.completeMs + 1,
        completeMs: last.completeMs + 2,
      });
      assert.ok(checkDualAck([...history, straggler]).some(({ later }) => later === straggler));
    }),
  );
});
