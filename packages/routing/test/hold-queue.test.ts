/** Goal: the hold is bounded, fair, and ends only on proof. Method: sequences of what comes and goes, and each thing that is no proof. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { epoch, memberId, ms } from '@understudy/core';
import fc from 'fast-check';
import {
  DEFAULT_HOLD_LIMITS,
  EMPTY_HOLD_QUEUE,
  expireHeld,
  type Held,
  type HoldLimits,
  type HoldQueue,
  hold,
  holdEnds,
  releaseHeld,
  stopRelease,
  type WritableProof,
  withoutHeld,
} from '../src/index.ts';
import { nodeOf, topologyOf } from './support/topology.ts';

const LIMITS: HoldLimits = { waitMs: 1000, count: 100, bytes: 10_000, spreadMs: 100 };
const held = (id: number, sinceMs = 0, bytes = 10): Held => ({ id, bytes, sinceMs: ms(sinceMs) });
const filled = (count: number, sinceMs = 0): HoldQueue =>
  Array.from({ length: count }, (_, id) => held(id, sinceMs)).reduce((queue, each) => {
    const found = hold(queue, each, LIMITS);
    return found.kind === 'held' ? found.queue : assert.fail('full');
  }, EMPTY_HOLD_QUEUE);
const ids = (list: readonly Held[]): number[] => list.map(({ id }) => id);

describe('the queue', () => {
  test('is bounded in count and bytes, and says until when', () => {
    const found = hold(EMPTY_HOLD_QUEUE, held(1, 50), LIMITS);
    assert.equal(found.kind === 'held' && found.untilMs, 1050);
    assert.deepEqual(hold(filled(100), held(101), LIMITS), { kind: 'full', by: 'count' });
    assert.deepEqual(hold(filled(1), held(101, 0, 9_991), LIMITS), { kind: 'full', by: 'bytes' });
    assert.equal(hold(filled(1), held(101, 0, 9_990), LIMITS).kind, 'held');
  });

  test('lets nobody wait longer than allowed', () => {
    const both = hold(filled(2), held(9, 500), LIMITS);
    assert.ok(both.kind === 'held');
    assert.deepEqual(ids(expireHeld(both.queue, ms(999), LIMITS).expired), []);
    const { queue, expired } = expireHeld(both.queue, ms(1000), LIMITS);
    assert.deepEqual([ids(expired), ids(queue.waiting), queue.bytes], [[0, 1], [9], 10]);
  });

  test('forgets who was cancelled, with what it had sent', () => {
    const queue = withoutHeld(filled(3), 1);
    assert.deepEqual([ids(queue.waiting), queue.bytes], [[0, 2], 20]);
  });

  test('is released in order, as many at once as can be served, the others spread', () => {
    const first = releaseHeld(filled(100), ms(0), 8, LIMITS);
    assert.deepEqual(ids(first.released), [0, 1, 2, 3, 4, 5, 6, 7]);
    const half = releaseHeld(first.queue, ms(50), 0, LIMITS);
    assert.deepEqual(
      ids(half.released),
      Array.from({ length: 42 }, (_, index) => index + 8),
    );
    const rest = releaseHeld(half.queue, ms(100), 0, LIMITS);
    assert.equal(rest.released.length, 50);
    assert.deepEqual(rest.queue, EMPTY_HOLD_QUEUE);
  });

  test('a thousand are gone within 200 ms, not one by one and not all at once', () => {
    const limits = { ...LIMITS, count: 1000, bytes: 1_000_000, spreadMs: DEFAULT_HOLD_LIMITS.spreadMs };
    let queue: HoldQueue = { waiting: Array.from({ length: 1000 }, (_, id) => held(id)), bytes: 10_000, release: null };
    const sizes: number[] = [];
    for (let nowMs = 0; queue.waiting.length > 0; nowMs += 5) {
      const step = releaseHeld(queue, ms(nowMs), 4, limits);
      queue = step.queue;
      sizes.push(step.released.length);
      assert.ok(nowMs <= 200);
    }
    assert.ok(Math.max(...sizes) <= 100, String(Math.max(...sizes)));
  });

  test('goes on waiting when the primary is lost again', () => {
    const { queue } = releaseHeld(filled(100), ms(0), 10, LIMITS);
    assert.equal(stopRelease(queue).release, null);
    assert.equal(stopRelease(queue).waiting.length, 90);
  });

  test('whatever happens: nobody is lost, served twice or overtaken, and its bytes are right', () => {
    const aStep = fc.oneof(
      fc.record({ do: fc.constant('hold' as const), bytes: fc.nat(3000) }),
      fc.record({ do: fc.constant('release' as const), free: fc.nat(4) }),
      fc.record({ do: fc.constant('expire' as const) }),
      fc.record({ do: fc.constant('cancel' as const), id: fc.nat(40) }),
      fc.record({ do: fc.constant('stop' as const) }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(200), aStep), { maxLength: 60 }), (steps) => {
        let queue = EMPTY_HOLD_QUEUE;
        let nowMs = 0;
        let next = 0;
        const left: number[] = [];
        const released: number[] = [];
        for (const [later, step] of steps) {
          nowMs += later;
          if (step.do === 'hold') {
            const found = hold(queue, held(next, nowMs, step.bytes), LIMITS);
            if (found.kind === 'held') queue = found.queue;
            else left.push(next);
            next += 1;
          } else if (step.do === 'release') {
            const found = releaseHeld(queue, ms(nowMs), step.free, LIMITS);
            queue = found.queue;
            released.push(...ids(found.released));
          } else if (step.do === 'expire') {
            const found = expireHeld(queue, ms(nowMs), LIMITS);
            queue = found.queue;
            left.push(...ids(found.expired));
          } else if (step.do === 'cancel') {
            if (ids(queue.waiting).includes(step.id)) left.push(step.id);
            queue = withoutHeld(queue, step.id);
          } else queue = stopRelease(queue);
          assert.equal(
            queue.bytes,
            queue.waiting.reduce((sum, { bytes }) => sum + bytes, 0),
          );
          assert.ok(queue.bytes <= LIMITS.bytes && queue.waiting.length <= LIMITS.count);
        }
        assert.deepEqual(
          released,
          released.toSorted((a, b) => a - b),
        );
        const all = [...released, ...left, ...ids(queue.waiting)].toSorted((a, b) => a - b);
        assert.deepEqual(
          all,
          Array.from({ length: next }, (_, index) => index),
        );
      }),
      { numRuns: 500 },
    );
  });
});

describe('the hold ends', () => {
  const start = { epoch: epoch(1), atMs: ms(100) };
  const nodes = [nodeOf('p', { role: 'primary' })];
  const proof: WritableProof = { member: memberId('p'), timeline: 2, atMs: ms(200) };
  const ends = (
    more: Parameters<typeof topologyOf>[1] = {},
    said: WritableProof | null = proof,
    timeline: number | null = 2,
  ) => holdEnds(start, topologyOf(nodes, more), timeline, said, ms(300));

  test('when a newer epoch is open and its primary has proven itself', () => {
    assert.equal(ends(), true);
    assert.equal(ends({}, proof, null), true);
  });

  test('when the same primary has proven itself again: only the connection was lost', () => {
    assert.equal(ends({ epoch: epoch(1) }), true);
  });

  test('and not by anything less', () => {
    assert.equal(ends({ phase: 'promoting' }), false);
    assert.equal(ends({}, null), false);
    assert.equal(ends({ epoch: epoch(0) }), false);
    assert.equal(ends({ leader: memberId('other') }), false);
    assert.equal(ends({}, { ...proof, timeline: 1 }), false);
    assert.equal(ends({}, { ...proof, atMs: ms(99) }), false);
    assert.equal(ends({ leaseUntilMs: ms(300) }), false);
  });
});
