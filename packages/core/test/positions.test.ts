import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import {
  compareLsn,
  contains,
  decodePosition,
  distanceBytes,
  encodePosition,
  formatLsn,
  formatPosition,
  furthest,
  lsn,
  type Position,
  parseLsn,
  type Relation,
  relation,
  STEPS_TOLD,
  timelineOf,
  upToTimeline,
  type WalPosition,
} from '../src/index.ts';
import { at, on } from './support/positions.ts';

const LSN_MAX = 2n ** 64n - 1n;

/** LSNs as they occur, and those around the borders: 2³², and where texts compare the wrong way. */
const anyLsn = fc.oneof(
  fc.bigInt({ min: 0n, max: 20n }),
  fc.bigInt({ min: 2n ** 32n - 3n, max: 2n ** 32n + 3n }),
  fc.bigInt({ min: 0n, max: LSN_MAX }),
);

/** One timeline of a made-up world: its parent, where it forked off, and its number (numbers may collide). */
interface Line {
  readonly number: number;
  readonly parent: number | null;
  readonly fork: bigint;
}

/** Histories as servers promoted again and again, also apart from each other, would write them. */
const worlds = (collide: boolean): fc.Arbitrary<readonly Line[]> =>
  fc.array(fc.tuple(fc.nat(), fc.bigInt({ min: 0n, max: 6n }), fc.boolean()), { maxLength: 6 }).map((branches) => {
    const lines: Line[] = [{ number: 1, parent: null, fork: 0n }];
    for (const [pick, offset, same] of branches) {
      const parent = pick % lines.length;
      const base = lines[parent];
      if (base === undefined) continue;
      const number = collide && same ? base.number + 1 : lines.length + 1;
      lines.push({ number, parent, fork: base.fork + offset });
    }
    return lines;
  });

function positionOn(lines: readonly Line[], index: number, beyond: bigint): Position {
  const history: [number, bigint][] = [];
  const line = lines[index];
  if (line === undefined) throw new RangeError(`no line ${index}`);
  let child = line;
  while (child.parent !== null) {
    const parent = lines[child.parent];
    if (parent === undefined) break;
    history.unshift([parent.number, child.fork]);
    child = parent;
  }
  return on(line.number, line.fork + beyond, ...history);
}

interface Place {
  readonly line: number;
  readonly end: bigint;
  readonly position: Position;
}

const placesIn = (
  collide: boolean,
  count: number,
): fc.Arbitrary<{ lines: readonly Line[]; places: readonly Place[] }> =>
  fc
    .tuple(
      worlds(collide),
      fc.array(fc.tuple(fc.nat(), fc.bigInt({ min: 0n, max: 8n })), { minLength: count, maxLength: count }),
    )
    .map(([lines, picks]) => ({
      lines,
      places: picks.map(([pick, beyond]) => {
        const line = pick % lines.length;
        const position = positionOn(lines, line, beyond);
        assert(position.kind === 'wal');
        return { line, end: position.lsn, position };
      }),
    }));

/** What a place holds, told from how the world was made: on which line up to where, for each of its ancestors. */
function holdings(lines: readonly Line[], place: Place): ReadonlyMap<number, bigint> {
  const held = new Map<number, bigint>();
  let end = place.end;
  for (let index: number | null = place.line; index !== null; ) {
    const line: Line | undefined = lines[index];
    if (line === undefined) break;
    if (index === 0 || end > line.fork) held.set(index, end);
    end = end < line.fork ? end : line.fork;
    index = line.parent;
  }
  return held;
}

function holdsAll(lines: readonly Line[], outer: Place, inner: Place): boolean {
  const outerHeld = holdings(lines, outer);
  return [...holdings(lines, inner)].every(([line, end]) => (outerHeld.get(line) ?? -1n) >= end);
}

test('containment is what the servers really hold, in any tree of promotions with numbers of their own', () => {
  fc.assert(
    fc.property(placesIn(false, 2), ({ lines, places: [a, b] }) => {
      if (a === undefined || b === undefined) return;
      assert.equal(contains(a.position, b.position), holdsAll(lines, a, b));
    }),
    { numRuns: 4000 },
  );
});

test('containment is a partial order, also among histories whose numbers collide', () => {
  fc.assert(
    fc.property(placesIn(true, 3), ({ places: [a, b, c] }) => {
      if (a === undefined || b === undefined || c === undefined) return;
      assert.ok(contains(a.position, a.position));
      if (contains(a.position, b.position) && contains(b.position, c.position)) {
        assert.ok(contains(a.position, c.position), 'transitive');
      }
      if (contains(a.position, b.position) && contains(b.position, a.position)) {
        assert.equal(contains(a.position, c.position), contains(b.position, c.position), 'equals hold the same');
        assert.equal(contains(c.position, a.position), contains(c.position, b.position), 'and are held by the same');
      }
    }),
    { numRuns: 4000 },
  );
});

/** Any position at all, also such as no server writes. */
const anyPosition: fc.Arbitrary<Position> = fc
  .tuple(
    fc.integer({ min: 1, max: 4 }),
    anyLsn,
    fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), anyLsn), { maxLength: 3 }),
  )
  .map(([timeline, end, history]) => on(timeline, end, ...history));

test('containment never throws and stays a partial order on positions that make no sense', () => {
  fc.assert(
    fc.property(anyPosition, anyPosition, anyPosition, (a, b, c) => {
      assert.ok(contains(a, a));
      if (contains(a, b) && contains(b, c)) assert.ok(contains(a, c));
    }),
    { numRuns: 4000 },
  );
});

const MIRRORED: Readonly<Record<Relation, Relation>> = {
  equal: 'equal',
  ahead: 'behind',
  behind: 'ahead',
  diverged: 'diverged',
};

test('a relation read from the other side is the mirrored one', () => {
  fc.assert(
    fc.property(placesIn(true, 2), ({ places: [a, b] }) => {
      if (a === undefined || b === undefined) return;
      assert.equal(relation(b.position, a.position), MIRRORED[relation(a.position, b.position)]);
    }),
    { numRuns: 2000 },
  );
});

const cases: readonly (readonly [string, Position, Position, Relation])[] = [
  ['the same point', at(2, 1500), at(2, 1500), 'equal'],
  ['earlier on one timeline', at(2, 1400), at(2, 1500), 'behind'],
  ['the fork point itself, on either side of the switch', at(1, 1000), at(2, 1000), 'equal'],
  ['before the fork', at(1, 900), at(2, 1500), 'behind'],
  ['a tail that the new timeline does not have', at(1, 1001), at(2, 1500), 'diverged'],
  ['a tail against a leader that has written nothing yet', at(1, 1001), at(2, 1000), 'ahead'],
  ['two switches later', at(1, 1000), at(3, 2500), 'behind'],
  ['a middle timeline cut short', at(2, 2000), at(3, 2500), 'behind'],
  ['beyond a middle timeline', at(2, 2001), at(3, 2500), 'diverged'],
  [
    'promoted apart, same number, forked at different points',
    on(2, 1500, [1, 1000]),
    on(2, 1500, [1, 1200]),
    'diverged',
  ],
  ['promoted apart, different numbers, same fork', on(2, 1500, [1, 1000]), on(3, 1500, [1, 1000]), 'diverged'],
  ['promoted apart, but neither has written yet', on(2, 1000, [1, 1000]), on(3, 1000, [1, 1000]), 'equal'],
  ['promoted apart at different points, nothing written', on(2, 1000, [1, 1000]), on(3, 1200, [1, 1200]), 'behind'],
  ['on its way to a newer timeline, before the fork', on(2, 900, [1, 1000]), on(1, 950), 'behind'],
  ['the same, seen from the other', on(1, 950), on(2, 900, [1, 1000]), 'ahead'],
  ['two timelines opened at one point', on(3, 1000, [1, 1000], [2, 1000]), on(1, 1000), 'equal'],
  ['across 2³²', on(1, 2n ** 32n - 1n), on(1, 2n ** 32n), 'behind'],
  ['9/0 and 10/0, which compare the other way round as texts', on(1, 9n << 32n), on(1, 16n << 32n), 'behind'],
  ['0/9 and 0/10', on(1, 9), on(1, 16), 'behind'],
];

for (const [name, a, b, expected] of cases) {
  test(`relation: ${name}`, () => {
    assert.equal(relation(a, b), expected);
    assert.equal(relation(b, a), MIRRORED[expected]);
  });
}

test('LSNs are written and read as PostgreSQL does, and compared as numbers', () => {
  assert.equal(formatLsn(lsn(0x16_b374d848n)), '16/B374D848');
  assert.equal(parseLsn('16/B374D848'), 0x16_b374d848n);
  assert.equal(parseLsn('0/0'), 0n);
  assert.equal(parseLsn('FFFFFFFF/FFFFFFFF'), LSN_MAX);
  for (const text of [
    '',
    '0',
    '0/',
    '/0',
    '0/G',
    '0/123456789',
    '123456789/0',
    ' 0/0',
    '0/0 ',
    '-1/0',
    '0x1/0',
    '0/0/0',
  ]) {
    assert.equal(parseLsn(text), null, JSON.stringify(text));
  }
  const [nine = lsn(0n), ten = lsn(0n)] = [parseLsn('9/0'), parseLsn('10/0')].map((value) => value ?? lsn(0n));
  assert.equal(compareLsn(nine, ten), -1);
  assert.ok('9/0' > '10/0', 'which text would get wrong');
});

test('every LSN and every position survives its text form', () => {
  fc.assert(
    fc.property(anyLsn, (value) => assert.equal(parseLsn(formatLsn(lsn(value))), value)),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(anyPosition, (position) => {
      const encoded = JSON.parse(JSON.stringify(encodePosition(position)));
      assert.deepEqual(decodePosition(encoded), position);
    }),
    { numRuns: 2000 },
  );
});

test('a position with a broken LSN is none', () => {
  const encoded = encodePosition(at(2, 1500));
  assert(encoded.kind === 'wal');
  assert.equal(decodePosition({ ...encoded, lsn: '0/xyz' }), null);
  assert.equal(decodePosition({ ...encoded, history: [{ timeline: 1, switchLsn: '' }] }), null);
});

test('the furthest of some positions holds all of them, and is one of them; there is none when they diverge', () => {
  assert.equal(furthest([]), null);
  assert.equal(furthest([at(1, 1001), at(2, 1500)]), null);
  assert.deepEqual(furthest([at(1, 900), at(3, 2500), at(2, 1500)]), at(3, 2500));
  fc.assert(
    fc.property(placesIn(true, 4), ({ places }) => {
      const positions = places.map((place) => place.position);
      const found = furthest(positions);
      if (found === null) {
        assert.ok(positions.some((a) => positions.some((b) => relation(a, b) === 'diverged')));
        return;
      }
      assert.ok(positions.includes(found));
      for (const each of positions) assert.ok(contains(found, each));
    }),
    { numRuns: 2000 },
  );
});

test('distances are bytes of log and never negative', () => {
  assert.equal(distanceBytes(on(1, 16n << 32n), on(1, 9n << 32n)), 7 * 2 ** 32);
  assert.equal(distanceBytes(at(2, 1400), at(2, 1500)), 0);
});

test('what a history holds of one of its lines ends where that line was left', () => {
  assert.deepEqual(upToTimeline(at(3, 2500), 2), at(2, 2000));
  assert.deepEqual(upToTimeline(at(3, 2500), 3), at(3, 2500));
  assert.equal(upToTimeline(at(3, 2500), 4), null);
});

test('a position reads as timeline and LSN, and names its timeline', () => {
  assert.equal(formatPosition(on(2, 0x3000148)), '2@0/3000148');
  assert.equal(timelineOf(at(3, 2500)), 3);
});

describe('ten thousand leaderships', () => {
  const COUNT = 10_000;
  /** Leadership `n` of a cluster whose leaders each wrote 1000 bytes; `fork` is where another history took leave of it. */
  const led = (count: number, beyond = 500n, fork: { readonly at: number } | null = null): WalPosition => ({
    kind: 'wal',
    timeline: count,
    lsn: lsn(BigInt(count - 1) * 1000n + beyond),
    history: Array.from({ length: count - 1 }, (_, index) => ({
      timeline: index + 1,
      switchLsn: lsn(BigInt(index + 1) * 1000n + (fork?.at === index + 1 ? 1n : 0n)),
    })),
  });
  const told = (position: Position): Position => {
    const decoded = decodePosition(JSON.parse(JSON.stringify(encodePosition(position))));
    assert.ok(decoded !== null);
    return decoded;
  };
  const sizeOf = (position: Position): number => JSON.stringify(encodePosition(position)).length;

  it('are told in as few words as some hundred', () => {
    assert.ok(sizeOf(led(COUNT)) < 16_000, `${sizeOf(led(COUNT))}`);
    assert.deepEqual(told(told(led(COUNT))), told(led(COUNT)));
    assert.deepEqual(told(led(STEPS_TOLD + 1)), led(STEPS_TOLD + 1), 'a whole history is told as ever');
  });

  it('compare as the whole histories do, whichever of the two is shortened', () => {
    const ends = [COUNT - 200, COUNT - 1, COUNT].flatMap((count) => [led(count, 1n), led(count, 900n)]);
    // Another history of the same numbers: it took leave near the end, at its very beginning, or where nothing is told any more.
    const others = [1, 5000, COUNT - 300, COUNT - 2].map((at) => led(COUNT, 500n, { at }));
    const all = [...ends, ...others].map((whole) => ({ whole, short: told(whole) }));
    for (const a of all) {
      for (const b of all) {
        const wanted = contains(a.whole, b.whole);
        assert.equal(contains(a.short, b.short), wanted);
        if (a !== all[0] && b !== all[0]) continue;
        assert.equal(contains(a.whole, b.short), wanted);
        assert.equal(contains(a.short, b.whole), wanted);
      }
    }
  });

  it('never make a history contain what it does not, however far back that ends', () => {
    for (const count of [2, 100, STEPS_TOLD, 5000, COUNT - STEPS_TOLD, COUNT - STEPS_TOLD + 1]) {
      assert.equal(contains(told(led(count)), told(led(COUNT))), false);
      assert.equal(contains(told(led(count, 500n, { at: 1 })), told(led(COUNT))), false);
      assert.equal(contains(told(led(COUNT)), told(led(count, 500n, { at: 1 }))), false);
    }
    // On its way to the newest line, its log ends among what is not told: nothing can be said.
    const late: WalPosition = { ...led(COUNT), lsn: lsn(1_500n) };
    assert.equal(contains(told(late), led(3)), false);
    assert.equal(contains(told(led(COUNT)), told(late)), false);
  });

  it('keep what a history holds up to one of its last lines', () => {
    const line = upToTimeline(told(led(COUNT)), COUNT - 3);
    assert.ok(line !== null);
    assert.equal(relation(line, led(COUNT - 3, 1000n)), 'equal');
    assert.equal(upToTimeline(told(led(COUNT)), 3), null);
  });

  it('are told as intervals by engines of sets', () => {
    const position: Position = {
      kind: 'gtid',
      set: new Map([['cluster', [{ first: 2n, last: BigInt(COUNT) }]]]),
      timelines: [...Array.from({ length: COUNT }, (_, index) => index + 1), COUNT + 2],
      bytesPerTransaction: 100,
    };
    assert.ok(sizeOf(position) < 200);
    assert.deepEqual(told(position), position);
  });

  it('are read as older agents wrote them', () => {
    const steps = led(COUNT).history.map(({ timeline, switchLsn }) => ({ timeline, switchLsn: formatLsn(switchLsn) }));
    const { timeline, lsn: end } = led(COUNT);
    assert.deepEqual(decodePosition({ kind: 'wal', timeline, lsn: formatLsn(end), history: steps }), led(COUNT));
    const timelines = Array.from({ length: 5000 }, (_, index) => index + 1);
    const set = { kind: 'gtid', set: {}, lineages: timelines, bytesPerTransaction: 1 } as const;
    assert.deepEqual(decodePosition(set), { kind: 'gtid', set: new Map(), timelines, bytesPerTransaction: 1 });
  });

  it('are no position when half of them is missing, or far too many', () => {
    const place = { kind: 'wal', timeline: 9, lsn: '0/9' } as const;
    assert.equal(decodePosition(place), null);
    assert.equal(decodePosition({ ...place, before: { steps: 3, digest: 'a' } }), null);
    const set = { kind: 'gtid', set: {}, bytesPerTransaction: 1 } as const;
    for (const lines of [undefined, '', '1-x', '1-9000000', '1-5:18446744073709551615']) {
      assert.equal(decodePosition({ ...set, lines }), null, lines);
    }
  });
});
