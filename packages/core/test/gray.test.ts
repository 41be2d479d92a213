/** Leaders that nobody can replicate from, furthest nodes that cannot lead, and leaders that were not lost after all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GtidPosition, ms, parseIntervals } from '../src/index.ts';
import {
  any,
  codeOf,
  commandOf,
  confirmed,
  cut,
  decideOn,
  disconnected,
  EPOCH_5,
  fresh,
  kindsOf,
  member,
  NOW,
  n1,
  n2,
  n3,
  n4,
  type ObservationChange,
  primary,
  process1,
  recordIn,
  replica,
  type StoreChange,
  seal,
  silent,
  stopped,
} from './support/build.ts';
import { at } from './support/positions.ts';

const unheard = { ackersGoneSince: new Map([n2, n3].map((id) => [id, ms(NOW - 60_000)] as const)) };

/** n1 leads, nobody streams from it for `forMs`; the others are well but for their streams. */
function nobodyReplicates(forMs: number, change: ObservationChange = {}) {
  const peers = { [n2]: fresh(n2, disconnected()), [n3]: fresh(n3, disconnected()), ...change.peers };
  return decideOn(
    { self: n1, engine: primary({ replicas: [] }), ...change, peers },
    { ...unheard, shortSince: ms(NOW - forMs) },
  );
}

test('a leader that nobody replicates from for five seconds stops, if the others could go on without it', () => {
  assert.equal(codeOf(nobodyReplicates(4999)), 'leading');
  const decision = nobodyReplicates(5000);
  assert.equal(codeOf(decision), 'leader-unheard');
  assert.deepEqual(kindsOf(decision), ['commit: yield leadership', 'stop']);
  assert.equal(commandOf(decision, 'stop').mode, 'fence');
  assert.equal(recordIn(decision).unrest, 1);
});

test('one that gave up and was not stopped stops at once; a stream that never acknowledges keeps no leader', () => {
  const again = decideOn(
    {
      self: n1,
      engine: primary({ replicas: [] }),
      peers: { [n2]: fresh(n2, disconnected()), [n3]: fresh(n3, disconnected()) },
      store: { record: { unrest: 1 } },
    },
    { ...unheard, shortSince: ms(NOW - 5000), yielded: EPOCH_5 },
  );
  assert.deepEqual([codeOf(again), ...kindsOf(again)], ['leader-unheard', 'stop']);
  const members = [member(n1), member(n2), member(n3), member(n4, { nosync: true, nofailover: true })];
  const late = nobodyReplicates(5000, { engine: primary({ replicas: [confirmed(n4)] }), store: { members } });
  assert.equal(codeOf(late), 'leader-unheard');
  const leaving = { leaving: 'yes' } as const;
  const ending = { [n2]: fresh(n2, disconnected(), leaving), [n3]: fresh(n3, disconnected(), leaving) };
  assert.equal(codeOf(nobodyReplicates(5000, { peers: ending })), 'leading');
});

test('each further time it takes twice as long', () => {
  const store: StoreChange = { record: { unrest: 3 } };
  assert.equal(codeOf(nobodyReplicates(39_999, { store })), 'leading');
  assert.equal(codeOf(nobodyReplicates(40_000, { store })), 'leader-unheard');
  assert.equal(codeOf(nobodyReplicates(320_000, { store: { record: { unrest: 1000 } } })), 'leader-unheard');
});

const stays: readonly (readonly [string, ObservationChange])[] = [
  ['another one is not heard', { peers: { [n3]: silent(2000) } }],
  ['another one has no session', { store: { sessions: [n1, n2] } }],
  ['another one cannot open', { peers: { [n3]: fresh(n3, replica({ blocked: 'its disk is full' })) } }],
  ['nobody holds what it was chosen at', { store: { record: { chosenAt: at(4, 4900), opened: at(5, 4950) } } }],
  ['the cluster is paused', { store: { paused: true } }],
  ['it may acknowledge alone then', { store: { config: { whenShort: 'degrade', degradeAfterMs: 1_000_000 } } }],
  ['enough stream again', { engine: primary() }],
];

for (const [name, change] of stays) {
  test(`a leader that nobody replicates from goes on when ${name}`, () => {
    assert.equal(kindsOf(nobodyReplicates(60_000, change)).includes('stop'), false);
  });
}

test('a leader that gave up leaves the others ten seconds before it starts its server again', () => {
  const down = (forMs: number) =>
    decideOn({ self: n1, engine: stopped('crashed') }, { yielded: EPOCH_5, downSince: ms(NOW - forMs) });
  assert.equal(codeOf(down(9999)), 'first-move');
  assert.equal(codeOf(down(10_000)), 'restart-fenced');
});

// The furthest sealed node cannot lead: the next best fetches what it lacks.

const seals = { [n2]: seal(at(5, 4500)), [n3]: seal(at(5, 4600)) };

function furthestIs(change: Parameters<typeof replica>[0], given: ObservationChange = {}) {
  const peers = { [n1]: silent(5000), [n3]: fresh(n3, { ...cut(at(5, 4600)), ...change }) };
  return decideOn({ engine: cut(), ...given, peers, store: { seals, ...given.store } });
}

test('a sealed node that lacks something fetches it at once from a sealed one that cannot open', () => {
  const decision = furthestIs({ blocked: 'its disk is full' });
  assert.equal(codeOf(decision), 'fast-forwarding');
  assert.equal(commandOf(decision, 'follow').upstream, n3);
});

test('a furthest node that could lead gets its time first', () => {
  const first = furthestIs({});
  assert.equal(codeOf(first), 'candidate-behind');
  const { election } = first.memory;
  assert.ok(election !== null);
  const later = (forMs: number) =>
    decideOn(
      {
        engine: cut(),
        peers: { [n1]: silent(5000), [n3]: fresh(n3, cut(at(5, 4600))) },
        store: { seals },
      },
      { election: { ...election, since: ms(NOW - forMs) } },
    );
  assert.equal(codeOf(later(2999)), 'candidate-behind');
  assert.equal(codeOf(later(3000)), 'fast-forwarding');
});

test('while it fetches it is not cut, and it is cut before it leads', () => {
  const fetching = replica({ upstream: n3, position: at(5, 4550) });
  const during = furthestIs({ blocked: 'its disk is full' }, { engine: fetching });
  assert.equal(codeOf(during), 'fast-forwarding');
  assert.deepEqual(kindsOf(during), []);
  const there = furthestIs(
    { blocked: 'its disk is full' },
    { engine: replica({ upstream: n3, position: at(5, 4600) }) },
  );
  assert.deepEqual(kindsOf(there), ['seal']);
  const then = furthestIs({ blocked: 'its disk is full' }, { engine: cut(at(5, 4600)) });
  assert.equal(codeOf(then), 'elected');
});

test('a sealed node that is connected to the leader, or to one whose seal was given back, is cut', () => {
  assert.deepEqual(kindsOf(furthestIs({}, { engine: replica() })), ['seal']);
  const withdrawn = decideOn({
    engine: replica({ upstream: n3 }),
    peers: { [n1]: silent(5000) },
    store: { seals: { [n2]: seal(at(5, 4500)) } },
  });
  assert.deepEqual(kindsOf(withdrawn), ['seal']);
});

test('of equals that one leads that has less left to apply', () => {
  const backlog = { replayed: at(5, 4500) };
  const both = { [n2]: seal(at(5, 200_000)), [n3]: seal(at(5, 200_000)) };
  const decision = decideOn({
    engine: { ...cut(at(5, 200_000)), ...backlog },
    peers: { [n1]: silent(5000), [n3]: fresh(n3, cut(at(5, 200_000))) },
    store: { seals: both, members: [n1, member(n2, { priority: 200 }), n3] },
  });
  assert.equal(codeOf(decision), 'candidate-waits');
});

// Leaders that were not lost.

/** n2 has led epoch 5 for `ledMs`, after nothing was heard of n1. */
function afterSilence(ledMs: number, change: ObservationChange = {}) {
  const record = {
    leader: n2,
    incarnation: process1(n2),
    rule: any(1, n1, n3),
    lostBySilence: process1(n1),
    unrest: 1,
  };
  return decideOn(
    {
      engine: primary({
        acks: { running: any(1, n1, n3), barrier: at(5, 4110) },
        replicas: [confirmed(n1), confirmed(n3)],
      }),
      peers: { [n1]: fresh(n1, replica({ upstream: n2 })), [n3]: fresh(n3, replica({ upstream: n2 })) },
      ...change,
      store: { record },
    },
    { ledSince: { epoch: EPOCH_5, since: ms(NOW - ledMs) } },
  );
}

test('a leader that is heard again at once after it was replaced for its silence was not lost: that is counted', () => {
  const decision = afterSilence(2999);
  assert.equal(codeOf(decision), 'false-alarm');
  assert.equal(recordIn(decision).unrest, 2);
  assert.equal(recordIn(decision).lostBySilence, undefined);
});

test('one that comes back later was, and so was one whose process is another', () => {
  const restarted = fresh(n1, replica({ upstream: n2 }), { incarnation: process1(n3) });
  const peers = { [n1]: restarted, [n3]: fresh(n3, replica({ upstream: n2 }), { incarnation: process1(n2) }) };
  assert.equal(codeOf(afterSilence(0, { peers })), 'leading');
  assert.equal(codeOf(afterSilence(3000)), 'leading');
});

test('a leadership that stands for five minutes forgets one alarm', () => {
  const change = { self: n1, store: { record: { unrest: 2 } } };
  const since = (forMs: number) => ({ calmSince: ms(NOW - forMs) });
  assert.equal(codeOf(decideOn(change, since(299_999))), 'leading');
  const calm = decideOn(change, since(300_000));
  assert.equal(codeOf(calm), 'calm');
  assert.equal(recordIn(calm).unrest, 1);
  assert.equal(calm.memory.calmSince, null);
});

test('a time without enough ackers is no calm', () => {
  const decision = decideOn({ self: n1, engine: primary({ replicas: [] }) }, { calmSince: ms(NOW - 300_000) });
  assert.equal(decision.memory.calmSince, null);
});

// Two ackers that contradict each other.

const setAt = (set: Readonly<Record<string, string>>, ...timelines: readonly number[]): GtidPosition => ({
  kind: 'gtid',
  set: new Map(Object.entries(set).map(([source, text]) => [source, parseIntervals(text) ?? []])),
  timelines,
  bytesPerTransaction: 100,
});

/** n1 led with the name `a`; n2 and n3 are sealed where `own` and `other` say. */
function contradicting(own: GtidPosition, other: GtidPosition, opened: GtidPosition | null) {
  return decideOn({
    engineName: 'mysql',
    engine: { ...cut(), position: own, replayed: own },
    peers: { [n1]: silent(5000), [n3]: fresh(n3, { ...cut(), position: other, replayed: other }) },
    store: {
      seals: { [n2]: seal(own), [n3]: seal(other) },
      record: { chosenAt: setAt({ old: '1-9' }, 4), opened, timeline: 5 },
    },
  });
}

const openedAsA = setAt({ old: '1-9', a: '1' }, 4, 5);
const plain = setAt({ old: '1-9', a: '1-7' }, 4, 5);
const written = setAt({ old: '1-9', a: '1-6', c: '1' }, 4, 5);

test('sets that contradict each other elect nobody, whoever wrote what: an acknowledged write may bear any name', () => {
  for (const [own, other] of [
    [plain, written],
    [written, plain],
  ] as const) {
    const decision = contradicting(own, other, openedAsA);
    assert.equal(codeOf(decision), 'seals-contradict');
    assert.deepEqual(kindsOf(decision), []);
  }
});

test('where nothing says what the leader wrote, the contradiction is named', () => {
  const decision = contradicting(plain, written, null);
  assert.equal(codeOf(decision), 'seals-contradict');
  assert.match(decision.reasons[0]?.text ?? '', /n2 ends at .*; n3 ends at /);
});
