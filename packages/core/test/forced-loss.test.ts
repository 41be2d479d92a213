/** Goal: what an operator is told that a forced failover loses is what the chosen member lacks, by histories alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  contains,
  type ForcedLoss,
  forcedLoss,
  type GtidPosition,
  type MemberId,
  type Position,
} from '../src/index.ts';
import { position } from './support/arbitrary.ts';
import { n1, n2, n3 } from './support/build.ts';
import { at } from './support/positions.ts';

const loss = (to: MemberId, ...ends: readonly (readonly [MemberId, Position])[]): ForcedLoss =>
  forcedLoss(to, new Map(ends));

const set = (last: bigint, other = 0n): GtidPosition => ({
  kind: 'gtid',
  set: new Map([['a', [{ first: 1n, last }]], ...(other === 0n ? [] : [['b', [{ first: 1n, last: other }]] as const])]),
  timelines: [1],
  bytesPerTransaction: 100,
});

test('a member that holds everything that is known loses nothing', () => {
  assert.deepEqual(loss(n2, [n1, at(5, 4400)], [n2, at(5, 4500)]), { kind: 'nothing' });
});

test('what the furthest holds and the chosen one lacks is lost', () => {
  const found = loss(n3, [n1, at(5, 4500)], [n2, at(5, 4450)], [n3, at(5, 4400)]);
  assert.deepEqual(found, { kind: 'lost', holder: n1, position: at(5, 4500), bytes: 100, relation: 'behind' });
});

test('a newer timeline is no more than an older one: what counts is where they parted', () => {
  const newer = loss(n2, [n1, at(5, 4200)], [n2, at(4, 6000)]);
  assert.deepEqual(newer, { kind: 'lost', holder: n1, position: at(5, 4200), bytes: null, relation: 'diverged' });
  assert.deepEqual(loss(n2, [n1, at(4, 4000)], [n2, at(5, 4200)]), { kind: 'nothing' }, 'it went on from there');
});

test('sets of GTIDs are measured, also where each holds something of its own', () => {
  const behind = loss(n2, [n1, set(9n)], [n2, set(4n)]);
  assert.deepEqual(behind, { kind: 'lost', holder: n1, position: set(9n), bytes: 500, relation: 'behind' });
  const parted = loss(n2, [n1, set(9n)], [n2, set(4n, 3n)]);
  assert.deepEqual(parted, { kind: 'lost', holder: n1, position: set(9n), bytes: 500, relation: 'diverged' });
});

test('a member whose end is not known may lack anything', () => {
  assert.deepEqual(loss(n2, [n1, at(5, 4500)]), { kind: 'unknown' });
});

test('nothing is lost exactly when the chosen member contains every other', () => {
  fc.assert(
    fc.property(position, position, position, (a, b, c) => {
      const found = loss(n1, [n1, a], [n2, b], [n3, c]);
      assert.equal(found.kind === 'nothing', contains(a, b) && contains(a, c));
      if (found.kind === 'lost') assert.ok(!contains(a, found.position));
    }),
  );
});
