import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EngineState, epoch, type Memory, ms, type OperatorRequest } from '../src/index.ts';
import {
  absent,
  any,
  codeOf,
  cut,
  decideOn,
  disconnected,
  EPOCH_5,
  fresh,
  incomplete,
  kindsOf,
  NOW,
  n1,
  n2,
  n3,
  type ObservationChange,
  primary,
  refusing,
  replica,
  type StoreChange,
  seal,
  silent,
  starting,
  stopped,
  suspecting,
} from './support/build.ts';
import { at } from './support/positions.ts';

const streaming = (silentMs: number): EngineState => replica({ receiver: { kind: 'streaming', silentMs } });

/** Whether n2 takes n1 for dead. */
function suspects(change: ObservationChange, remembered: Partial<Memory> = {}): boolean {
  const decision = decideOn(change, remembered);
  assert.ok(decision.suspects === null || decision.suspects === EPOCH_5);
  return decision.suspects !== null;
}

const table: readonly (readonly [string, boolean, ObservationChange])[] = [
  ['all is well', false, {}],
  [
    'its agent silent, its stream flowing: a frozen agent beside a healthy server',
    false,
    { peers: { [n1]: silent(60_000) } },
  ],
  ['its stream silent, its agent well', false, { engine: streaming(60_000) }],
  ['its stream gone, its agent well', false, { engine: disconnected() }],
  ['both silent, but not for long enough', false, { engine: streaming(1200), peers: { [n1]: silent(999) } }],
  ['both silent', true, { engine: streaming(1200), peers: { [n1]: silent(1000) } }],
  [
    'stream gone, agent silent, but not for long enough',
    false,
    { engine: disconnected(), peers: { [n1]: silent(999) } },
  ],
  ['stream gone and agent silent', true, { engine: disconnected(), peers: { [n1]: silent(1000) } }],
  ['refusing connections, stream gone', true, { engine: disconnected(), peers: { [n1]: refusing(100) } }],
  ['refusing connections for a moment only', false, { engine: disconnected(), peers: { [n1]: refusing(99) } }],
  ['refusing connections, but the stream flows: its agent died alone', false, { peers: { [n1]: refusing(60_000) } }],
  ['refusing connections, stream silent for long', true, { engine: streaming(1000), peers: { [n1]: refusing(1000) } }],
  ['its agent says: crashed', true, { peers: { [n1]: fresh(n1, stopped('crashed')) } }],
  ['its agent says: stopped in order', true, { peers: { [n1]: fresh(n1, stopped('clean', at(5, 4500))) } }],
  ['its agent says: data gone', true, { peers: { [n1]: fresh(n1, absent) } }],
  ['its agent says: data incomplete', true, { peers: { [n1]: fresh(n1, incomplete) } }],
  ['its agent says: a replica', true, { peers: { [n1]: fresh(n1, cut()) } }],
  ['its agent says: starting', true, { peers: { [n1]: fresh(n1, starting) } }],
  [
    'its agent says: hangs (the agent itself acts on that)',
    false,
    { peers: { [n1]: fresh(n1, { kind: 'unresponsive', was: 'primary', sinceMs: 4999 }) } },
  ],
  [
    'its agent says: hangs, and could not be stopped',
    true,
    { peers: { [n1]: fresh(n1, { kind: 'unresponsive', was: 'primary', sinceMs: 5000 }) } },
  ],
  [
    'its agent says: hangs, of a server that it does not know',
    true,
    { peers: { [n1]: fresh(n1, { kind: 'unresponsive', was: 'unknown', sinceMs: 5000 }) } },
  ],
  [
    'its agent says: the server refuses me alone, and its stream flows',
    false,
    {
      engine: streaming(100),
      peers: { [n1]: fresh(n1, { kind: 'unresponsive', was: 'primary', sinceMs: 60_000, refusal: 'closed' }) },
    },
  ],
  [
    'its agent says: the server refuses me alone, and nothing is heard of it',
    true,
    {
      engine: streaming(9000),
      peers: { [n1]: fresh(n1, { kind: 'unresponsive', was: 'primary', sinceMs: 5000, refusal: 'closed' }) },
    },
  ],
  [
    'its agent says: a replica that hangs, within the time of an opening',
    false,
    { peers: { [n1]: fresh(n1, { kind: 'unresponsive', was: 'replica', sinceMs: 14_999 }) } },
  ],
  [
    'its agent says: a replica that hangs for longer',
    true,
    { peers: { [n1]: fresh(n1, { kind: 'unresponsive', was: 'replica', sinceMs: 15_000 }) } },
  ],
  [
    'the suspecting time is longer after the second false alarm',
    false,
    { engine: streaming(1999), peers: { [n1]: silent(1999) }, store: { record: { unrest: 2 } } },
  ],
  [
    'the longer suspecting time has an end',
    true,
    { engine: streaming(6000), peers: { [n1]: silent(6000) }, store: { record: { unrest: 1000 } } },
  ],
  [
    'the first false alarm changes nothing',
    true,
    { engine: streaming(1000), peers: { [n1]: silent(1000) }, store: { record: { unrest: 1 } } },
  ],
  [
    'the suspecting time is configuration',
    true,
    { engine: streaming(300), peers: { [n1]: silent(300) }, store: { config: { suspectAfterMs: 300 } } },
  ],
  ['another node says so, this one sees it well', false, { peers: { [n3]: suspecting(n3) } }],
];

for (const [name, expected, change] of table) {
  test(`${expected ? 'suspects' : 'trusts'} the leader: ${name}`, () => {
    assert.equal(suspects(change), expected);
  });
}

test('silence counts only while the observer itself was running: a starved observer sees short silences', () => {
  // The shell measures so; what the core must not do is add time of its own from its clock.
  const late = { engine: streaming(200), peers: { [n1]: silent(400) }, now: ms(NOW + 3_600_000) };
  assert.equal(suspects(late, { leaderPosition: at(5, 4400) }), false);
});

test('the leader itself does not suspect itself', () => {
  assert.equal(decideOn({ self: n1, engine: stopped('crashed') }).suspects, null);
});

test('in a paused cluster nobody is suspected', () => {
  const dead = { engine: disconnected(), peers: { [n1]: silent(5000), [n3]: suspecting(n3) } };
  assert.equal(suspects({ ...dead, store: { paused: true } }), false);
  assert.deepEqual(
    decideOn({ ...dead, engine: cut(), store: { paused: true } }).commands.map((each) => each.kind),
    ['follow'],
  );
});

// A leader that has not opened yet.

const promoting: StoreChange = { record: { phase: 'promoting', opened: null } };

test('a chosen leader that is not open yet has fifteen seconds, counted for its own epoch', () => {
  for (const engine of [cut(), starting]) {
    const peers = { [n1]: fresh(n1, engine), [n3]: suspecting(n3) };
    const waited = (forMs: number, inEpoch = EPOCH_5) =>
      suspects({ store: promoting, peers }, { leaderNotOpenSince: { epoch: inEpoch, since: ms(NOW - forMs) } });
    assert.equal(waited(14_999), false);
    assert.equal(waited(15_000), true);
    assert.equal(waited(60_000, epoch(4)), false, 'the wait for its predecessor does not count');
  }
});

test('a report from before the opening is no news: the store was quicker than the stream', () => {
  const report = (engine: EngineState) => ({ peers: { [n1]: fresh(n1, engine), [n3]: suspecting(n3) } });
  const since = (forMs: number) => ({ leaderNotOpenSince: { epoch: EPOCH_5, since: ms(NOW - forMs) } });
  assert.equal(suspects(report(cut(at(4, 4000))), since(50)), false);
  assert.equal(suspects(report(cut(at(4, 4000))), since(15_000)), true, 'not for ever');
  assert.equal(suspects(report(cut(at(5, 4500))), since(50)), true, 'it has been open, and is a replica again');
});

test('a chosen leader whose server stopped is suspected at once', () => {
  assert.equal(suspects({ store: promoting, peers: { [n1]: fresh(n1, stopped('crashed')) } }), true);
});

test('since when the leader says that it is not open is remembered, and forgotten when it opens', () => {
  const first = decideOn({ store: promoting, peers: { [n1]: fresh(n1, cut()) } });
  assert.deepEqual(first.memory.leaderNotOpenSince, { epoch: EPOCH_5, since: NOW });
  assert.equal(decideOn({ store: promoting }, first.memory).memory.leaderNotOpenSince, null);
});

test('an agent that is killing a server that hangs says nothing new: what it said first goes on counting', () => {
  const report = { peers: { [n1]: fresh(n1, { kind: 'unresponsive', was: 'primary', sinceMs: 4000 }) } };
  const first = decideOn(report);
  assert.equal(first.suspects, null);
  assert.equal(suspects({ ...report, now: ms(NOW + 999) }, first.memory), false);
  assert.equal(suspects({ ...report, now: ms(NOW + 1000) }, first.memory), true);
});

// What operators ask for.

const switchover = (change: object = {}): OperatorRequest => ({
  kind: 'switchover',
  id: 'r1',
  from: n1,
  to: n3,
  notBeforeWallMs: null,
  timeoutMs: 10_000,
  ...change,
});

test('during a handover a stopped leader is what was asked for, for a second', () => {
  const peers = { [n1]: fresh(n1, stopped('crashed')) };
  const since = (forMs: number) => ({ leaderNotOpenSince: { epoch: EPOCH_5, since: ms(NOW - forMs) } });
  for (const request of [switchover(), switchover({ from: null })]) {
    assert.equal(suspects({ peers, store: { request } }, since(999)), false);
    assert.equal(suspects({ peers, store: { request } }, since(1000)), true);
  }
  assert.equal(suspects({ peers, store: { request: switchover({ from: n3 }) } }, since(0)), true, 'not of this leader');
  const tomorrow = switchover({ notBeforeWallMs: 1_800_000_000_000 });
  assert.equal(suspects({ peers, store: { request: tomorrow } }, since(0)), true, 'not due yet');
});

const failover = (change: object = {}): OperatorRequest => ({
  kind: 'failover',
  id: 'r1',
  to: n2,
  proof: 'quorum',
  timeoutMs: 10_000,
  ...change,
});

test('a failover that an operator asks for needs no other sign, only the quorum', () => {
  const decision = decideOn({ store: { request: failover() }, peers: { [n3]: suspecting(n3, replica()) } });
  assert.deepEqual(kindsOf(decision), ['seal']);
  assert.equal(suspects({ store: { request: failover({ to: n1 }) } }), false, 'the leader leads already');
  assert.equal(suspects({ store: { request: failover({ proof: 'override' }) } }), false);
});

test('a failover request does not turn against the leader that it brought, before that one has opened', () => {
  assert.equal(suspects({ store: { ...promoting, request: failover() }, peers: { [n1]: fresh(n1, cut()) } }), false);
});

// The quorum of suspicion.

test('seals count as suspicion, also those of nodes that say nothing any more', () => {
  const store = { seals: { [n3]: seal(at(5, 4400)) } };
  const peers = { [n1]: silent(2000), [n3]: silent(2000) };
  assert.deepEqual(kindsOf(decideOn({ engine: disconnected(), store, peers })), ['seal']);
});

test('a suspicion of another epoch does not count', () => {
  const peers = { [n1]: silent(2000), [n3]: fresh(n3, disconnected(), { suspects: epoch(4) }) };
  assert.deepEqual(decideOn({ engine: disconnected(), peers }).commands, []);
});

test('during a change of ackers, enough are needed to stop every mixture of both rules', () => {
  const store = { record: { rule: any(1, n2), nextRule: any(1, n2, n3) } };
  const peers = { [n1]: silent(2000) };
  assert.deepEqual(decideOn({ engine: disconnected(), store, peers }).commands, []);
  const both = { ...peers, [n3]: suspecting(n3) };
  assert.deepEqual(kindsOf(decideOn({ engine: disconnected(), store, peers: both })), ['seal']);
});

test('in async the lease must have expired, and then one node acts on its own', () => {
  const record = { durability: 'async', rule: any(0) } as const;
  const peers = { [n1]: silent(2000) };
  const held = decideOn({ engine: disconnected(), store: { record }, peers });
  assert.equal(codeOf(held), 'lease-not-expired');
  const gone = decideOn({ engine: disconnected(), store: { record, sessions: [n2, n3] }, peers });
  assert.deepEqual(kindsOf(gone), ['seal']);
});

test('a leader that is open and well is never sealed against, whatever its server looks like from its own agent', () => {
  assert.equal(
    codeOf(decideOn({ peers: { [n1]: fresh(n1, primary({ replicas: [] })), [n3]: suspecting(n3) } })),
    'following',
  );
});
