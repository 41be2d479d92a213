/** Sets of transactions against the plain sets of numbers that they stand for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  contains,
  decodePosition,
  distanceBytes,
  encodePosition,
  extentOf,
  formatIntervals,
  formatPosition,
  furthest,
  type GtidInterval,
  type GtidPosition,
  type GtidSet,
  gtidContains,
  gtidCount,
  gtidSubtract,
  gtidUnion,
  lsn,
  normalizeIntervals,
  parseIntervals,
  relation,
  timelineOf,
  upToTimeline,
} from '../src/index.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

const interval = fc
  .tuple(fc.bigInt({ min: 1n, max: 40n }), fc.bigInt({ min: 0n, max: 6n }))
  .map(([first, more]): GtidInterval => ({ first, last: first + more }));
const sets: fc.Arbitrary<GtidSet> = fc
  .dictionary(fc.constantFrom('a', 'b', UUID), fc.array(interval, { minLength: 1, maxLength: 5 }))
  .map((found) => new Map(Object.entries(found).map(([source, each]) => [source, normalizeIntervals(each)])));

/** The model: `source:number` for every transaction. */
function plain(set: GtidSet): Set<string> {
  const all = new Set<string>();
  for (const [source, intervals] of set) {
    for (const { first, last } of intervals) for (let n = first; n <= last; n++) all.add(`${source}:${n}`);
  }
  return all;
}

const at = (set: Record<string, string>, ...timelines: number[]): GtidPosition => ({
  kind: 'gtid',
  set: new Map(Object.entries(set).map(([source, text]) => [source, parseIntervals(text) ?? []])),
  timelines,
  bytesPerTransaction: 100,
});

test('union, difference, inclusion and size are those of the plain sets', () => {
  fc.assert(
    fc.property(sets, sets, (a, b) => {
      const [one, two] = [plain(a), plain(b)];
      assert.deepEqual(plain(gtidUnion(a, b)), one.union(two));
      assert.deepEqual(plain(gtidSubtract(a, b)), one.difference(two));
      assert.equal(gtidContains(a, b), two.isSubsetOf(one));
      assert.equal(gtidCount(a), BigInt(one.size));
    }),
    { numRuns: 3000 },
  );
});

test('intervals are ascending, and neither overlap nor touch, whatever they were made of', () => {
  fc.assert(
    fc.property(fc.array(interval), (intervals) => {
      const normal = normalizeIntervals(intervals);
      assert.ok(normal.every((each, index) => index === 0 || each.first > (normal[index - 1]?.last ?? 0n) + 1n));
      assert.deepEqual(plain(new Map([['a', normal]])), plain(new Map([['a', intervals]])));
      if (normal.length > 0) assert.deepEqual(parseIntervals(formatIntervals(normal)), normal);
    }),
  );
});

test('text that is no list of intervals is none', () => {
  for (const text of ['', '1-', '-3', 'a', '5-3', '1:x', '1,2', '1--2']) assert.equal(parseIntervals(text), null, text);
});

test('positions of one history are ordered; what each has alone makes them diverge, whoever has the higher numbers', () => {
  const old = at({ [UUID]: '1-500', lines: '1' }, 1);
  const next = at({ [UUID]: '1-503', other: '1-9', lines: '1-2' }, 1, 2);
  const lost = at({ [UUID]: '1-505', lines: '1' }, 1);
  assert.equal(relation(next, old), 'ahead');
  assert.equal(relation(old, next), 'behind');
  assert.equal(relation(lost, next), 'diverged');
  assert.equal(relation(old, at({ [UUID]: '1-500', lines: '1' }, 1)), 'equal');
  assert.equal(furthest([old, next]), next);
  assert.equal(furthest([lost, next]), null);
});

test('the distance is an estimate by the average size of what is missing; the other way round there is none', () => {
  const ahead = at({ [UUID]: '1-100' });
  assert.equal(distanceBytes(ahead, at({ [UUID]: '1-40:50-60' })), 49 * 100);
  assert.equal(distanceBytes(at({ [UUID]: '1-40' }), ahead), 0);
  assert.equal(extentOf(ahead), 100);
});

test('positions of different kinds have nothing in common', () => {
  const wal = { kind: 'wal', timeline: 1, lsn: lsn(5n), history: [] } as const;
  const set = at({ a: '1-5' });
  assert.equal(relation(wal, set), 'diverged');
  assert.equal(contains(set, wal), false);
  assert.deepEqual([distanceBytes(wal, set), distanceBytes(set, wal)], [0, 0]);
});

test('a position is on the last line it went through; of an earlier one it holds at least the stretch', () => {
  const position = at({ a: '1-9' }, 1, 3);
  assert.equal(timelineOf(position), 3);
  assert.equal(timelineOf(at({ a: '1-9' })), null);
  assert.equal(upToTimeline(position, 1), position);
  assert.equal(upToTimeline(position, 2), null);
});

test('what is written for the store reads back; broken intervals do not', () => {
  fc.assert(
    fc.property(sets, fc.array(fc.nat(99), { maxLength: 3 }), (set, timelines) => {
      const position: GtidPosition = { kind: 'gtid', set, timelines, bytesPerTransaction: 10 };
      assert.deepEqual(decodePosition(JSON.parse(JSON.stringify(encodePosition(position)))), position);
    }),
  );
  assert.equal(decodePosition({ kind: 'gtid', set: { a: '1-' }, lineages: [], bytesPerTransaction: 1 }), null);
});

test('people read the line, short names of sources, and the intervals', () => {
  assert.equal(formatPosition(at({ [UUID]: '1-77', b: '3' }, 1, 2)), '2@3e11fa47…:1-77,b:3');
  assert.equal(formatPosition(at({})), '0@empty');
});
