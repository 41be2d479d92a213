/**
 * Goal: a replica is called fresh only if it provably is. Method: histories with forks as values, each verdict once; the clock of positions
 * against the truth.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memberId, ms, type Position } from '@understudy/core';
import fc from 'fast-check';
import {
  addSample,
  EMPTY_CLOCK,
  freshnessOf,
  hasLeft,
  type PositionClock,
  parseLevel,
  type Requirement,
  requirementOf,
  shownBy,
  stalenessMs,
} from '../src/index.ts';
import { at, nodeOf } from './support/topology.ts';

const OPENED = at(2, 1000);
const freshness = (
  applied: Position | null,
  requirement: Requirement,
  clock: PositionClock = EMPTY_CLOCK,
  nowMs = 0,
) => {
  const found = freshnessOf(nodeOf('r1', { applied }), requirement, OPENED, clock, ms(nowMs));
  return found.kind === 'guard' ? 'guard' : `${found.kind}: ${found.why}`;
};
const needs = (position: Position, canBeLost = false): Requirement => ({ kind: 'position', position, canBeLost });

describe('what a replica shows', () => {
  test('is fresh when it has applied the position, on the same way', () => {
    assert.equal(freshness(at(2, 1500), needs(at(2, 1500))), 'fresh: applied');
    assert.equal(freshness(at(2, 1500), needs(at(1, 900))), 'fresh: applied');
    assert.equal(freshness(at(1, 950), needs(at(1, 900))), 'fresh: applied');
  });

  test('is to be guarded when it is behind on the very timeline', () => {
    assert.equal(freshness(at(2, 1499), needs(at(2, 1500))), 'guard');
    assert.equal(freshness(at(1, 800), needs(at(1, 900))), 'guard');
  });

  test('cannot be guarded before it was seen on the timeline: the guard compares numbers only', () => {
    assert.equal(freshness(at(1, 900), needs(at(2, 1500))), 'stale: behind');
  });

  test('cannot be guarded for what a failover may have taken: the number may be that of another timeline', () => {
    assert.equal(freshness(at(2, 1499), needs(at(2, 1500), true)), 'stale: behind');
    assert.equal(freshness(at(2, 1500), needs(at(2, 1500), true)), 'fresh: applied');
  });

  test('is unusable once it went beyond a fork, whatever its number', () => {
    for (const requirement of [needs(at(2, 1500)), needs(at(1, 900)), { kind: 'none' } as const]) {
      assert.equal(freshness(at(1, 2000), requirement), 'stale: diverged');
    }
    assert.equal(freshness(at(3, 2000), { kind: 'none' }), 'stale: diverged');
    assert.equal(hasLeft(at(1, 1000), OPENED), false);
    assert.equal(hasLeft(at(1, 1001), OPENED), true);
    assert.equal(hasLeft(at(1, 1001), null), false);
  });

  test('is stale while it is not known, unless every commit waits for it', () => {
    assert.equal(freshness(null, needs(at(2, 1500))), 'stale: position-unknown');
    assert.equal(freshness(null, { kind: 'none' }), 'fresh: not-required');
    const byRule: Requirement = {
      kind: 'position',
      position: at(2, 1500),
      canBeLost: false,
      appliedBy: new Set([memberId('r1')]),
    };
    assert.equal(freshness(null, byRule), 'fresh: applied-by-rule');
  });

  test('is measured by when the primary was where it is', () => {
    const clock = addSample(addSample(EMPTY_CLOCK, { notBeforeMs: ms(100), position: at(2, 1100) }), {
      notBeforeMs: ms(200),
      position: at(2, 1200),
    });
    const within = (maxLagMs: number, applied: Position, nowMs: number) =>
      freshness(applied, { kind: 'staleness', maxLagMs }, clock, nowMs);
    assert.equal(within(50, at(2, 1200), 250), 'fresh: within-bound');
    assert.equal(within(49, at(2, 1200), 250), 'stale: too-old');
    assert.equal(within(150, at(2, 1199), 250), 'fresh: within-bound');
    assert.equal(within(149, at(2, 1199), 250), 'stale: too-old');
    assert.equal(within(9999, at(2, 1050), 250), 'stale: too-old');
  });
});

describe('the clock of positions', () => {
  test('an idle primary does not make replicas old', () => {
    let clock = EMPTY_CLOCK;
    for (let nowMs = 0; nowMs <= 1000; nowMs += 50)
      clock = addSample(clock, { notBeforeMs: ms(nowMs), position: at(2, 1500) });
    assert.equal(stalenessMs(clock, at(2, 1500), ms(1000)), 0);
    assert.equal(clock.samples.length, 1);
  });

  test('forgets what the primary has left', () => {
    const before = addSample(EMPTY_CLOCK, { notBeforeMs: ms(0), position: at(1, 1900) });
    const after = addSample(before, { notBeforeMs: ms(10), position: at(2, 1100) });
    assert.equal(stalenessMs(after, at(1, 1900), ms(20)), null);
    assert.equal(stalenessMs(after, at(2, 1100), ms(20)), 10);
  });

  test('never says that something is newer than it is, and stays small', () => {
    const steps = fc.array(fc.tuple(fc.nat(20), fc.nat(3)), { minLength: 1, maxLength: 1200 });
    fc.assert(
      fc.property(steps, fc.nat(4000), (moves, lag) => {
        let clock = EMPTY_CLOCK;
        let nowMs = 0;
        let end = 1000;
        const truth: { atMs: number; end: number }[] = [];
        for (const [later, written] of moves) {
          nowMs += later;
          end += written;
          truth.push({ atMs: nowMs, end });
          clock = addSample(clock, { notBeforeMs: ms(nowMs), position: at(2, end) });
        }
        assert.ok(clock.samples.length <= 256);
        const applied = Math.max(1000, end - lag);
        const told = stalenessMs(clock, at(2, applied), ms(nowMs));
        // The last moment at which the primary held no more than the replica does now.
        const actual =
          nowMs -
          Math.max(...truth.filter((each) => each.end <= applied).map(({ atMs }) => atMs), Number.NEGATIVE_INFINITY);
        if (told !== null) assert.ok(told >= actual, `told ${told}, is ${actual}`);
      }),
      { numRuns: 60 },
    );
  });

  test('stands for what a read on the primary has shown, once it was asked after that', () => {
    const clock = addSample(addSample(EMPTY_CLOCK, { notBeforeMs: ms(100), position: at(2, 1100) }), {
      notBeforeMs: ms(200),
      position: at(2, 1200),
    });
    assert.deepEqual(shownBy(clock, ms(150)), at(2, 1200));
    assert.deepEqual(shownBy(clock, ms(200)), at(2, 1200));
    assert.equal(shownBy(clock, ms(201)), null);
  });
});

test('each level asks for what it promises', () => {
  const level = (text: string) => parseLevel(text) ?? assert.fail(text);
  const valid = {
    kind: 'valid',
    position: at(2, 1500),
    canBeLost: true,
    token: { cluster: '0' as never, issuedWallMs: 0, entries: [] },
  } as const;
  assert.deepEqual(requirementOf(level('strong'), { kind: 'empty' }), { kind: 'primary', why: 'strong' });
  assert.deepEqual(requirementOf(level('bounded(5)'), valid), { kind: 'staleness', maxLagMs: 5 });
  assert.deepEqual(requirementOf(level('eventual'), valid), { kind: 'none' });
  for (const name of ['session', 'causal']) {
    assert.deepEqual(requirementOf(level(name), { kind: 'empty' }), { kind: 'none' });
    assert.deepEqual(requirementOf(level(name), valid), { kind: 'position', position: at(2, 1500), canBeLost: true });
    assert.deepEqual(requirementOf(level(name), { kind: 'unknown' }), { kind: 'primary', why: 'history-unknown' });
  }
});
