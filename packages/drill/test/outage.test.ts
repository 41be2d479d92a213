import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { outageOf } from '../src/check/outage.ts';
import type { Op } from '../src/workload/op.ts';
import { op } from './histories.ts';

/** A client that is served every 20 ms, in 5 ms, but not between two instants. */
function client(writer: number, gapFromMs: number, gapToMs: number, endMs: number): Op[] {
  const ops: Op[] = [];
  for (let atMs = 0; atMs < endMs; atMs += 20) {
    if (atMs >= gapFromMs && atMs < gapToMs) continue;
    ops.push(op(writer * 100_000 + atMs, { writer, invokeMs: atMs, completeMs: atMs + 5 }));
  }
  return ops;
}

test('from the begin of the last acknowledged insert to the end of the next one', () => {
  const found = outageOf(client(0, 1000, 1500, 3000), { fromMs: 1000, toMs: 1000 }, 3000);
  assert.deepEqual(found, { outageMs: 525, calmMs: 25, longestMs: 525, span: { fromMs: 980, toMs: 1505 } });
});

test('the client that waited longest counts', () => {
  const ops = [...client(0, 1000, 1200, 3000), ...client(1, 1000, 1800, 3000)];
  assert.equal(outageOf(ops, { fromMs: 1000, toMs: 1000 }, 3000).outageMs, 825);
});

test('a gap like those in the calm before is no outage', () => {
  const ops = [...client(0, 400, 700, 3000), ...client(1, 1000, 1600, 3000)];
  assert.deepEqual(outageOf(ops, { fromMs: 1000, toMs: 1100 }, 3000), {
    outageMs: 0,
    calmMs: 325,
    longestMs: 625,
    span: null,
  });
});

test('a client that is never served again counts until the end', () => {
  assert.equal(outageOf(client(0, 1000, 9000, 3000), { fromMs: 1000, toMs: 1000 }, 3000).outageMs, 2020);
});

test('a short gap counts when something in it broke, or the client had to go to another node', () => {
  const calm = [...client(0, 400, 700, 3000)];
  const window = { fromMs: 1000, toMs: 1100 };
  const failed = [
    ...client(1, 1000, 1200, 3000),
    op(1, { writer: 1, outcome: 'info', invokeMs: 1000, completeMs: 1050 }),
  ];
  assert.equal(outageOf([...calm, ...failed], window, 3000).outageMs, 225);
  const moved = client(1, 1000, 1200, 3000).map((each) => (each.invokeMs < 1000 ? each : { ...each, node: 'b' }));
  assert.equal(outageOf([...calm, ...moved], window, 3000).outageMs, 225);
});

test('failed inserts, unknown ones and those of clients on the host itself do not end an outage', () => {
  const others = [
    op(1, { outcome: 'fail', invokeMs: 1100, completeMs: 1105 }),
    op(2, { outcome: 'info', invokeMs: 1200, completeMs: 1205 }),
    op(3, { kind: 'local', invokeMs: 1300, completeMs: 1305 }),
  ];
  assert.equal(outageOf([...client(0, 1000, 1500, 3000), ...others], { fromMs: 1000, toMs: 1000 }, 3000).outageMs, 525);
});

test('a gap after the fault and its healing is not put to its account', () => {
  assert.equal(outageOf(client(0, 2000, 2600, 3000), { fromMs: 1000, toMs: 1500 }, 3000).outageMs, 0);
});

test('a planted gap is found at its length, wherever it lies', () => {
  fc.assert(
    fc.property(fc.integer({ min: 10, max: 50 }), fc.integer({ min: 5, max: 60 }), (start, length) => {
      const gap = { fromMs: start * 20, toMs: (start + length) * 20 };
      const { outageMs } = outageOf(
        client(0, gap.fromMs, gap.toMs, 4000),
        { fromMs: gap.fromMs, toMs: gap.fromMs },
        4000,
      );
      assert.equal(outageMs, length * 20 + 25);
    }),
  );
});
