import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type GtidInterval, type GtidSet, gtidContains, gtidUnion, normalizeIntervals } from '@understudy/core';
import fc from 'fast-check';
import {
  formatMariadbGtids,
  type LineStep,
  lineOf,
  mariadbHistory,
  markerSequence,
  newestSequence,
  parseMariadbGtids,
  placeOnLine,
  sequenceOf,
} from '../src/gtid/mariadb.ts';
import { formatMysqlGtids, mysqlTimelines, parseMysqlGtids, parseOwnedGtids } from '../src/gtid/mysql.ts';

const uuids = ['3e11fa47-71ca-11e1-9e33-c80aa9429562', '4e11fa47-71ca-11e1-9e33-c80aa9429562'] as const;
const sources = [uuids[0], uuids[1], `${uuids[0]}:backup`, `${uuids[1]}:_x9`] as const;

/** Sets of a few numbers by source, as plain sets: the model. */
const models = fc.dictionary(
  fc.constantFrom(...sources),
  fc.uniqueArray(fc.bigInt({ min: 1n, max: 30n }), { minLength: 1 }),
);

function setOf(model: Readonly<Record<string, readonly bigint[]>>): GtidSet {
  const entries = Object.entries(model).map(([source, numbers]): [string, readonly GtidInterval[]] => [
    source,
    normalizeIntervals(numbers.map((n) => ({ first: n, last: n }))),
  ]);
  return new Map(entries);
}

const sorted = (set: GtidSet) => [...set].toSorted(([a], [b]) => (a < b ? -1 : 1));

describe('GTIDs of MySQL', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(models, (model) => {
        const set = setOf(model);
        const read = parseMysqlGtids(formatMysqlGtids(set));
        assert(read !== null);
        assert.deepEqual(sorted(read), sorted(set));
      }),
    );
  });

  it('reads a union of texts as the union of the sets, in any order and with broken lines', () => {
    fc.assert(
      fc.property(models, models, (a, b) => {
        const text = [formatMysqlGtids(setOf(a)), formatMysqlGtids(setOf(b))].filter((part) => part !== '').join(',\n');
        const read = parseMysqlGtids(text);
        assert(read !== null);
        assert.deepEqual(sorted(read), sorted(gtidUnion(setOf(a), setOf(b))));
        assert(gtidContains(read, setOf(a)) && gtidContains(read, setOf(b)));
      }),
    );
  });

  it('reads several tags of one server', () => {
    const read = parseMysqlGtids(`${uuids[0].toUpperCase()}:1-3:7:Backup:1-2:9:_x9:4, ${uuids[1]}:5`);
    assert(read !== null);
    assert.deepEqual(
      formatMysqlGtids(read),
      [`${uuids[0]}:1-3:7`, `${uuids[0]}:_x9:4`, `${uuids[0]}:backup:1-2:9`, `${uuids[1]}:5`].join(','),
    );
    assert.deepEqual(parseMysqlGtids(''), new Map());
  });

  for (const text of [
    'x',
    uuids[0],
    `${uuids[0]}:`,
    `${uuids[0]}:tag`,
    `${uuids[0]}:5-3`,
    `${uuids[0]}:tag:tag:1`,
    `${uuids[0]}:1:tag`,
  ]) {
    it(`refuses "${text}"`, () => assert.equal(parseMysqlGtids(text), null));
  }

  it('reads numbers that threads own', () => {
    const read = parseOwnedGtids(`${uuids[0]}:7#12:8#13,${uuids[1]}:2#9`);
    assert(read !== null);
    assert.equal(formatMysqlGtids(read), `${uuids[0]}:7-8,${uuids[1]}:2`);
  });

  it('finds the lines in the numbers of the cluster', () => {
    const set = parseMysqlGtids(`${uuids[0]}:2-3:7,${uuids[1]}:1-100`);
    assert(set !== null);
    assert.deepEqual(mysqlTimelines(set, uuids[0]), [1, 2, 3, 7]);
    assert.deepEqual(mysqlTimelines(new Map(), uuids[0]), [1]);
  });
});

/** A course of promotions: how many transactions each line has after its marker; lines may be skipped. */
const courses = fc.array(
  fc.record({ skip: fc.integer({ min: 0, max: 3 }), writes: fc.bigInt({ min: 0n, max: 1000n }) }),
  {
    maxLength: 6,
  },
);

/** What the servers of such a course write: the newest number, the rows, and every number as the model. */
function play(course: readonly { readonly skip: number; readonly writes: bigint }[]) {
  const steps = new Map<number, LineStep>();
  const all: bigint[] = [];
  let newest: bigint | null = null;
  let timeline = 1;
  for (const { skip, writes } of course) {
    timeline += 1 + skip;
    steps.set(timeline, { timeline, previous: newest });
    for (let n = 0n; n <= writes; n++) all.push(markerSequence(timeline) + n);
    newest = markerSequence(timeline) + writes;
  }
  return { steps, all, newest, timeline };
}

describe('GTIDs of MariaDB', () => {
  it('reads what it wrote', () => {
    const gtid = fc.record(
      {
        domain: fc.integer({ min: 0, max: 0xffffffff }),
        server: fc.integer({ min: 1, max: 0xffffffff }),
        sequence: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.array(gtid), (gtids) => {
        assert.deepEqual(parseMariadbGtids(formatMariadbGtids(gtids)), gtids);
      }),
    );
    for (const text of ['0-1', '0-1-x', '0-1-2-3', 'a,b']) assert.equal(parseMariadbGtids(text), null);
  });

  it('tells a history by its newest number and the rows of its lines', () => {
    fc.assert(
      fc.property(courses, (course) => {
        const { steps, all, newest, timeline } = play(course);
        const gtids = newest === null ? [] : [{ domain: 0, server: 3, sequence: newest }];
        const history = mariadbHistory(gtids, steps);
        assert(history !== null);
        assert.deepEqual(history.timelines, [1, ...steps.keys()]);
        assert.equal(sequenceOf(history.set, history.timelines), newest);
        for (const sequence of all) {
          const place = placeOnLine(sequence);
          assert(gtidContains(history.set, new Map([[String(lineOf(sequence)), [{ first: place, last: place }]]])));
        }
        const beyond = placeOnLine((newest ?? markerSequence(timeline)) + 1n);
        assert(!gtidContains(history.set, new Map([[String(timeline), [{ first: beyond, last: beyond }]]])));
      }),
    );
  });

  it('a history contains its own past, and one that left it does not', () => {
    fc.assert(
      fc.property(courses, fc.bigInt({ min: 1n, max: 50n }), (course, extra) => {
        const full = play([{ skip: 0, writes: 5n }, ...course, { skip: 0, writes: 3n }]);
        const now = mariadbHistory([{ domain: 0, server: 1, sequence: full.newest ?? 0n }], full.steps);
        const [first] = [...full.steps.keys()];
        assert(now !== null && first !== undefined);
        const past = mariadbHistory([{ domain: 0, server: 2, sequence: markerSequence(first) + 2n }], full.steps);
        const strayed = mariadbHistory(
          [{ domain: 0, server: 2, sequence: markerSequence(first) + 5n + extra }],
          full.steps,
        );
        assert(past !== null && strayed !== null);
        assert(gtidContains(now.set, past.set));
        assert(!gtidContains(now.set, strayed.set), 'its end is not the one that the next line began at');
      }),
    );
  });

  it('does not know a history whose marker it has not seen', () => {
    const gtids = [{ domain: 0, server: 1, sequence: markerSequence(7) + 3n }];
    assert.equal(mariadbHistory(gtids, new Map()), null);
    const circle = new Map([[7, { timeline: 7, previous: markerSequence(7) + 1n }]]);
    assert.equal(mariadbHistory(gtids, circle), null, 'a line does not begin within itself');
  });

  it('counts the cluster by its own domain, and takes numbers from before there were lines', () => {
    const gtids = [
      { domain: 0, server: 1, sequence: 99n },
      { domain: 0, server: 2, sequence: 100n },
      { domain: 5, server: 2, sequence: 3n },
    ];
    assert.equal(newestSequence(gtids), 100n);
    const history = mariadbHistory(gtids, new Map());
    assert.deepEqual(history?.timelines, [1]);
    assert.deepEqual(history?.set.get('0'), [{ first: 1n, last: 101n }]);
    assert.deepEqual(history?.set.get('domain 5 server 2'), [{ first: 1n, last: 4n }]);
  });
});
