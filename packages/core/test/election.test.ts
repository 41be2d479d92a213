import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Decision,
  epoch,
  incarnation,
  type LeadershipRecord,
  type MemberId,
  type Memory,
  ms,
  type OperatorRequest,
  type PeerView,
  type Position,
  type Seal,
} from '../src/index.ts';
import {
  any,
  codeOf,
  commandOf,
  commitOf,
  content,
  cut,
  decideOn,
  EPOCH_5,
  fresh,
  kindsOf,
  live,
  member,
  NOW,
  n1,
  n2,
  n3,
  n4,
  n5,
  type ObservationChange,
  process1,
  RECORD_REVISION,
  recordIn,
  replica,
  type StoreChange,
  seal,
  silent,
  stopped,
  suspecting,
  tags,
} from './support/build.ts';
import { at, on } from './support/positions.ts';

/** n1 is lost; the named nodes are sealed at the given positions, and run. `self` decides. */
function election(
  sealed: Readonly<Record<string, Position>>,
  change: ObservationChange & { readonly store?: StoreChange } = {},
  remembered: Partial<Memory> = {},
): Decision {
  const self = change.self ?? n2;
  const seals: Record<string, Seal> = {};
  for (const [id, position] of Object.entries(sealed)) seals[id] = seal(position);
  const others = (change.store?.members ?? [n1, n2, n3]).map((each) => (typeof each === 'string' ? each : each.id));
  const peers = Object.fromEntries(
    others
      .filter((id) => id !== n1 && id !== self)
      .map((id) => [id, suspecting(id, cut(sealed[id] ?? at(5, 4300)))] as const),
  );
  return decideOn(
    {
      engine: cut(sealed[self] ?? at(5, 4300)),
      ...change,
      store: { ...change.store, seals: { ...seals, ...change.store?.seals } },
      peers: { [n1]: silent(3000), ...peers, ...change.peers },
    },
    remembered,
  );
}

test('a quorum of seals and the most advanced position: this node takes the leadership and promotes', () => {
  const decision = election({ [n2]: at(5, 4500), [n3]: at(5, 4400) });
  assert.equal(codeOf(decision), 'elected');
  assert.deepEqual(kindsOf(decision), ['commit: take leadership', 'promote']);
  const next: LeadershipRecord = {
    epoch: epoch(6),
    leader: n2,
    incarnation: process1(n2),
    phase: 'promoting',
    timeline: 6,
    rule: any(1, n3),
    nextRule: null,
    chosenAt: at(5, 4500),
    opened: null,
    durability: 'sync',
    cause: 'leader-lost',
    lostBySilence: process1(n1),
  };
  assert.deepEqual(recordIn(decision), next);
  const promote = commandOf(decision, 'promote');
  assert.deepEqual([promote.epoch, promote.timeline, promote.rule], [epoch(6), 6, any(1, n3)]);
  assert.equal(promote.notAfter, NOW + 3000);
});

test('the choice is written on condition that the record, every counted seal and the own session are what they were', () => {
  const { revision: n2Seal } =
    content({ seals: { [n2]: seal(at(5, 4500)), [n3]: seal(at(5, 4400)) } }).seals.get(n2) ?? {};
  assert.deepEqual(commitOf(election({ [n2]: at(5, 4500), [n3]: at(5, 4400) })).expect, [
    { key: 'record', is: RECORD_REVISION },
    { key: 'sessions/n2', is: 20 },
    { key: 'seals/n2', is: n2Seal },
    { key: 'seals/n3', is: 61 },
  ]);
});

test('too few seals: no election, and the reason names who is missing', () => {
  const decision = election({ [n2]: at(5, 4500) });
  assert.equal(codeOf(decision), 'seal-quorum-missing');
  assert.match(decision.reasons[0]?.text ?? '', /2 of \(n2, n3\) must be sealed; n3 missing/);
  assert.deepEqual(decision.commands, []);
});

test('a node that has not sealed itself takes nothing, however many others have', () => {
  const store = { record: { rule: any(1, n3) } };
  const decision = election({ [n3]: at(5, 4400) }, { store, engine: cut(at(5, 4500)) });
  assert.notEqual(codeOf(decision), 'elected');
});

test('whoever lacks what may have been acknowledged does not lead', () => {
  const decision = election({ [n2]: at(5, 4400), [n3]: at(5, 4500) });
  assert.equal(codeOf(decision), 'candidate-behind');
  assert.deepEqual(decision.commands, []);
});

test('LSNs compare as numbers: 9/0 is behind 10/0', () => {
  const far = (end: bigint): Position => on(5, end, [4, 4000]);
  const change = { store: { record: { chosenAt: on(4, 4000), opened: far(4100n) } } };
  assert.equal(codeOf(election({ [n2]: far(9n << 32n), [n3]: far(16n << 32n) }, change)), 'candidate-behind');
  assert.equal(codeOf(election({ [n2]: far(16n << 32n), [n3]: far(9n << 32n) }, change)), 'elected');
});

test('during a change of ackers a quorum of one of the rules is not enough', () => {
  const change = { store: { record: { rule: any(1, n2), nextRule: any(1, n2, n3) } } };
  assert.equal(codeOf(election({ [n2]: at(5, 4500) }, change)), 'seal-quorum-missing');
  assert.equal(codeOf(election({ [n2]: at(5, 4500), [n3]: at(5, 4400) }, change)), 'elected');
});

test('while a rule gives way to none, only the leader itself can be its own successor', () => {
  for (const record of [{ nextRule: any(0) }, { rule: any(0), nextRule: any(1, n2, n3) }, { rule: any(0) }]) {
    const decision = election({ [n2]: at(5, 4500), [n3]: at(5, 4400) }, { store: { record } });
    assert.deepEqual(decision.commands, []);
    assert.equal(codeOf(decision), 'leader-alone');
  }
});

test('what the epoch itself was built on must be held, even where no seal shows it', () => {
  // n1 was chosen at 4500 and died before anybody copied that: n2 and n3 together prove nothing about it.
  const store = { record: { phase: 'promoting', chosenAt: at(4, 4500), opened: null } as const };
  const decision = election({ [n2]: at(4, 4400), [n3]: at(4, 4300) }, { store });
  assert.equal(codeOf(decision), 'candidate-behind');
});

test('an agent without its session takes nothing: another one may be running under its name', () => {
  const decision = election({ [n2]: at(5, 4500), [n3]: at(5, 4400) }, { store: { sessions: [n1, n3] } });
  assert.equal(codeOf(decision), 'session-missing');
  assert.deepEqual(decision.commands, []);
});

// Seals of nodes whose history is another one.

test('a sealed node that never followed this leader counts as stopped, and its own tail asks nothing of the candidate', () => {
  const stray = on(4, 4050, [1, 1000], [2, 2000], [3, 3000]);
  const decision = election({ [n2]: at(5, 4500), [n3]: stray });
  assert.equal(codeOf(decision), 'elected');
});

test('a sealed node that went on to a line of its own asks only for what it held of this one', () => {
  const astray = on(7, 9000, [1, 1000], [2, 2000], [3, 3000], [4, 4000], [5, 4450]);
  assert.equal(codeOf(election({ [n2]: at(5, 4500), [n3]: astray })), 'elected');
  assert.equal(codeOf(election({ [n2]: at(5, 4449), [n3]: astray })), 'candidate-behind');
});

test('and it may lead if it holds what the epoch was built on and nobody holds more', () => {
  const stray = on(4, 4050, [1, 1000], [2, 2000], [3, 3000]);
  const store = { record: { rule: any(1, n2), opened: null, phase: 'promoting' } as const };
  assert.equal(codeOf(election({ [n2]: stray }, { store, engine: cut(stray) })), 'elected');
});

// Who comes first.

const equal = { [n2]: at(5, 4500), [n3]: at(5, 4500) };

test('among equals the higher priority comes first, then the name', () => {
  assert.equal(codeOf(election(equal)), 'elected');
  assert.equal(codeOf(election(equal, { self: n3 })), 'candidate-waits');
  const members = [n1, n2, member(n3, { priority: 200 })];
  assert.equal(codeOf(election(equal, { store: { members } })), 'candidate-waits');
  assert.equal(codeOf(election(equal, { self: n3, tags: tags({ priority: 200 }), store: { members } })), 'elected');
});

test('priority never comes before position', () => {
  const members = [n1, n2, member(n3, { priority: 200 })];
  assert.equal(codeOf(election({ [n2]: at(5, 4500), [n3]: at(5, 4499) }, { store: { members } })), 'elected');
});

test('the next in line acts when the first one does not, after a pause for each before it', () => {
  const waiting = election(equal, { self: n3 });
  assert.deepEqual(waiting.memory.election, { epoch: EPOCH_5, since: NOW });
  const later = (forMs: number) =>
    election(equal, { self: n3 }, { election: { epoch: EPOCH_5, since: ms(NOW - forMs) } });
  assert.equal(codeOf(later(299)), 'candidate-waits');
  assert.equal(codeOf(later(300)), 'elected');
  assert.equal(
    codeOf(election(equal, { self: n3 }, { election: { epoch: epoch(4), since: ms(0) } })),
    'candidate-waits',
  );
});

test('a node that does not run, or hangs, is not waited for', () => {
  assert.equal(codeOf(election(equal, { self: n3, peers: { [n2]: silent(2000) } })), 'elected');
  assert.equal(codeOf(election(equal, { self: n3, peers: { [n2]: fresh(n2, stopped('crashed')) } })), 'elected');
});

test('nofailover: never leads, and is not waited for', () => {
  assert.equal(codeOf(election(equal, { tags: tags({ nofailover: true }) })), 'candidate-nofailover');
  const members = [n1, member(n2, { nofailover: true }), n3];
  assert.equal(codeOf(election(equal, { self: n3, store: { members } })), 'elected');
});

test('a node that cannot apply what it received vouches for it, but never leads, and is not waited for', () => {
  const blocked = { ...cut(at(5, 4500)), blocked: 'error 1062' };
  assert.equal(codeOf(election(equal, { engine: blocked })), 'candidate-blocked');
  assert.equal(codeOf(election(equal, { self: n3, peers: { [n2]: fresh(n2, blocked) } })), 'elected');
});

test('the newest seal of a node that has gone is not asked for when the running ones make a quorum by themselves', () => {
  // Five nodes, 2 acks of 4: three stopped ackers prove everything, whatever the fourth had received on top.
  const record = { rule: any(2, n2, n3, n4, n5) };
  const sealed = { [n2]: at(5, 4500), [n3]: at(5, 4400), [n4]: at(5, 4300), [n5]: at(5, 4900) };
  const store = { members: [n1, n2, n3, n4, n5], record };
  assert.equal(codeOf(election(sealed, { store })), 'candidate-behind');
  assert.equal(codeOf(election(sealed, { store, peers: { [n5]: silent(2000) } })), 'elected');
});

test('five nodes, two acks: three seals of four, with two missing', () => {
  const store = { members: [n1, n2, n3, n4, n5], record: { rule: any(2, n2, n3, n4, n5) } };
  const sealed = { [n2]: at(5, 4500), [n3]: at(5, 4400) };
  assert.equal(codeOf(election(sealed, { store })), 'seal-quorum-missing');
  assert.equal(codeOf(election({ ...sealed, [n4]: at(5, 4300) }, { store })), 'elected');
});

test('two data nodes and a store: the only acker is its own quorum', () => {
  const store = { members: [n1, n2], record: { rule: any(1, n2) } };
  const decision = election({ [n2]: at(5, 4500) }, { store });
  assert.equal(codeOf(decision), 'elected');
  assert.deepEqual(recordIn(decision).rule, any(1, n1), 'block: writes wait until the other one is back');
  const degrade = election({ [n2]: at(5, 4500) }, { store: { ...store, config: { whenShort: 'degrade' } } });
  assert.deepEqual(recordIn(degrade).rule, any(0), 'degrade: recorded before the server opens');
});

// The leader's own end as the proof.

test('a leader that stopped in order is proof by itself: nobody needs to seal, and suspicion is not asked for', () => {
  const decision = election(
    { [n1]: at(5, 4500) },
    { engine: replica(), peers: { [n1]: fresh(n1, stopped('clean', at(5, 4500))), [n3]: fresh(n3, replica()) } },
  );
  assert.equal(codeOf(decision), 'elected');
  assert.equal(recordIn(decision).cause, 'leader-restarted');
});

test('but whoever has not received its very end does not lead', () => {
  const decision = election(
    { [n1]: at(5, 4500) },
    { engine: replica({ position: at(5, 4499) }), peers: { [n1]: fresh(n1, stopped('clean', at(5, 4500))) } },
  );
  assert.deepEqual(decision.commands, []);
});

test("when nobody reached the old leader's end, a quorum of seals is as good", () => {
  const decision = election({ [n1]: at(5, 4600), [n2]: at(5, 4500), [n3]: at(5, 4400) });
  assert.equal(codeOf(decision), 'elected');
  assert.equal(recordIn(decision).cause, 'leader-lost');
});

// Requests.

const handover = (to: MemberId | null, change: object = {}): OperatorRequest => ({
  kind: 'switchover',
  id: 'r1',
  from: n1,
  to,
  notBeforeWallMs: null,
  timeoutMs: 10_000,
  ...change,
});

/** After the stop: n1 has published its end, everybody has it. */
const handedOver = (self: MemberId, request: OperatorRequest, change: ObservationChange = {}, remembered = {}) =>
  election(
    { [n1]: at(5, 4500) },
    {
      self,
      engine: replica(),
      store: { request },
      ...change,
      peers: {
        [n1]: fresh(n1, stopped('clean', at(5, 4500))),
        [n2]: fresh(n2, replica()),
        [n3]: fresh(n3, replica()),
        ...change.peers,
      },
    },
    remembered,
  );

/** A member that was heard as it is, and is not any more. */
const fellSilent = (id: MemberId, silentMs: number): PeerView => ({
  kind: 'silent',
  last: live(id, replica()),
  silentMs,
});

test('the target of a switchover comes first; the others leave it half of the time allowed', () => {
  assert.equal(codeOf(handedOver(n3, handover(n3))), 'elected');
  assert.equal(recordIn(handedOver(n3, handover(n3))).cause, 'switchover');
  assert.equal(codeOf(handedOver(n2, handover(n3))), 'candidate-waits');
  const since = (forMs: number) => ({ election: { epoch: EPOCH_5, since: ms(NOW - forMs) } });
  assert.equal(codeOf(handedOver(n2, handover(n3), {}, since(5299))), 'candidate-waits');
  assert.equal(codeOf(handedOver(n2, handover(n3), {}, since(5300))), 'elected');
});

/** A quarter of the time that a switchover may take. */
const GRACE_MS = 2500;
/** As in these tests' configuration. */
const SUSPECT_AFTER_MS = 1000;

test('a target that may hold the end and has not said so is left a quarter of the time allowed', () => {
  const since = (forMs: number) => ({ election: { epoch: EPOCH_5, since: ms(NOW - forMs) } });
  const starting = fresh(n3, { kind: 'starting', sinceMs: 100 });
  const older = live(n3, replica(), { incarnation: incarnation('older') });
  const cases: readonly (readonly [string, PeerView])[] = [
    ['its report is older than the end', fresh(n3, replica({ position: at(5, 4400) }))],
    ['its server is starting', starting],
    ['its server is slow to answer', fresh(n3, { kind: 'unresponsive', was: 'replica', sinceMs: 100 })],
    ['its agent was just started, and never heard', silent(Number.POSITIVE_INFINITY)],
    ['its agent was just started; the one before was heard', { kind: 'silent', last: older, silentMs: 50_000 }],
    ['it was not heard for a moment', fellSilent(n3, SUSPECT_AFTER_MS - 1)],
  ];
  for (const [name, peer] of cases) {
    const late = { peers: { [n3]: peer } };
    assert.equal(codeOf(handedOver(n2, handover(n3), late)), 'candidate-waits', name);
    assert.equal(codeOf(handedOver(n2, handover(n3), late, since(GRACE_MS - 1))), 'candidate-waits', name);
    assert.equal(codeOf(handedOver(n2, handover(n3), late, since(GRACE_MS))), 'elected', name);
    const members = [n1, n2, member(n3, { nofailover: true })];
    const tagged = { ...late, store: { members, request: handover(n3) } };
    assert.equal(codeOf(handedOver(n2, handover(n3), tagged)), 'elected', 'it could not lead anyway');
  }
});

test('a target that cannot take it is not waited for', () => {
  const cases: readonly (readonly [string, PeerView, StoreChange])[] = [
    ['it would be suspected by its silence', fellSilent(n3, SUSPECT_AFTER_MS), {}],
    ['it has no session', silent(100), { sessions: [n1, n2] }],
    ['its agent is ending', fresh(n3, replica(), { leaving: 'yes' }), {}],
    ['its server has stopped', fresh(n3, stopped('clean', at(5, 4500))), {}],
    ['its server cannot open', fresh(n3, replica({ blocked: 'a broken index' })), {}],
  ];
  for (const [name, peer, store] of cases) {
    const change = { peers: { [n3]: peer }, store: { ...store, request: handover(n3) } };
    assert.equal(codeOf(handedOver(n2, handover(n3), change)), 'elected', name);
  }
});

test('a switchover that is not due yet prefers nobody', () => {
  const tomorrow = handover(n3, { notBeforeWallMs: 1_800_000_000_000 });
  assert.equal(codeOf(handedOver(n2, tomorrow)), 'elected');
  assert.equal(recordIn(handedOver(n2, tomorrow)).cause, 'leader-restarted');
});

test('in a switchover without a target the leaving node comes last, although it holds as much', () => {
  const back = { [n1]: fresh(n1, cut(at(5, 4500))) };
  assert.equal(codeOf(handedOver(n2, handover(null), { peers: back })), 'elected');
  const members = [member(n1, { priority: 900 }), n2, n3];
  assert.equal(
    codeOf(handedOver(n2, handover(null), { peers: back, store: { members, request: handover(null) } })),
    'elected',
  );
});

test('undo: when nobody takes over, the old leader leads on under a new epoch', () => {
  const decision = election(
    { [n1]: at(5, 4500) },
    {
      self: n1,
      engine: cut(at(5, 4500)),
      store: { request: handover(n3) },
      peers: { [n2]: fellSilent(n2, 3000), [n3]: fellSilent(n3, 3000) },
    },
  );
  assert.equal(codeOf(decision), 'elected');
  assert.equal(recordIn(decision).leader, n1);
  assert.equal(recordIn(decision).epoch, epoch(6));
});

// Async: by lease, with bounded loss.

const asyncRecord = { durability: 'async', rule: any(0) } as const;
const asyncStore: StoreChange = { record: asyncRecord, config: { durability: 'async' }, sessions: [n2, n3] };
const sawLeaderAt = (position: Position): Partial<Memory> => ({ leaderPosition: position });

test('async: a lease that has run out and a loss within the limit make a leader', () => {
  const decision = election({ [n2]: at(5, 4500), [n3]: at(5, 4500) }, { store: asyncStore }, sawLeaderAt(at(5, 4900)));
  assert.equal(codeOf(decision), 'elected');
  assert.equal(recordIn(decision).cause, 'lease-expired');
  assert.equal(recordIn(decision).durability, 'async');
  assert.deepEqual(recordIn(decision).rule, any(0));
  const keys = commitOf(decision).expect.map((each) => `${each.key}: ${each.is}`);
  assert.ok(keys.includes('sessions/n1: absent'), keys.join());
});

test('async: after a restore nobody is elected as long as the lease from before may hold, though no session is there', () => {
  const sealed = { [n2]: at(5, 4500), [n3]: at(5, 4500) };
  const leaseTtlMs = 4000;
  const config = { durability: 'async', leaseTtlMs } as const;
  const restored = { ...asyncStore, config, record: { ...asyncRecord, cause: 'store-restored' } } as const;
  const since = (ago: number): Partial<Memory> => ({
    ...sawLeaderAt(at(5, 4500)),
    sealedSince: { epoch: epoch(5), since: ms(NOW - ago) },
  });
  const unknown = election(sealed, { store: restored }, sawLeaderAt(at(5, 4500)));
  const early = election(sealed, { store: restored }, since(2 * leaseTtlMs - 1));
  for (const decision of [unknown, early]) {
    assert.equal(codeOf(decision), 'lease-not-expired');
    assert.deepEqual(decision.commands, []);
  }
  assert.deepEqual(
    unknown.memory.sealedSince,
    { epoch: epoch(5), since: ms(NOW) },
    'a new agent counts from its first turn',
  );
  assert.equal(codeOf(election(sealed, { store: restored }, since(2 * leaseTtlMs))), 'elected');
  assert.equal(codeOf(election(sealed, { store: asyncStore }, sawLeaderAt(at(5, 4500)))), 'elected');
});

test('async: nobody is elected while the lease holds, nor when the loss is too big, unknown, or not comparable', () => {
  const sealed = { [n2]: at(5, 4500), [n3]: at(5, 4500) };
  const held = election(sealed, { store: { ...asyncStore, sessions: [n1, n2, n3] } }, sawLeaderAt(at(5, 4500)));
  assert.equal(codeOf(held), 'lease-not-expired');
  const limited = { ...asyncStore, config: { durability: 'async', maxLagOnFailoverBytes: 399 } } as const;
  const tooBig = election(sealed, { store: limited }, sawLeaderAt(at(5, 4900)));
  assert.equal(codeOf(tooBig), 'candidate-behind');
  assert.match(tooBig.reasons[0]?.text ?? '', /lacks 400 bytes .* \(limit 399 bytes\)/);
  assert.equal(codeOf(election(sealed, { store: asyncStore })), 'leader-position-unknown');
  for (const decision of [held, tooBig]) assert.deepEqual(decision.commands, []);
});

test('async: what a peer saw of the leader counts as well as what this node saw', () => {
  const limited = { ...asyncStore, config: { durability: 'async', maxLagOnFailoverBytes: 399 } } as const;
  const decision = election(
    { [n2]: at(5, 4500), [n3]: at(5, 4500) },
    { store: limited, peers: { [n3]: fresh(n3, cut(at(5, 4500)), { leaderPosition: at(5, 4900) }) } },
    sawLeaderAt(at(5, 4400)),
  );
  assert.equal(codeOf(decision), 'candidate-behind');
});

test("async: an earlier leader's lost tail says nothing about this one", () => {
  const oldTail = on(4, 9000, [1, 1000], [2, 2000], [3, 3000]);
  const decision = election(
    { [n2]: at(5, 4500), [n3]: at(5, 4500) },
    { store: asyncStore, peers: { [n3]: fresh(n3, cut(at(5, 4500)), { leaderPosition: oldTail }) } },
    sawLeaderAt(at(5, 4500)),
  );
  assert.equal(codeOf(decision), 'elected');
});

test('async: others get a moment to show what they hold before the first one acts', () => {
  const decision = election({ [n2]: at(5, 4500) }, { store: asyncStore }, sawLeaderAt(at(5, 4500)));
  assert.equal(codeOf(decision), 'candidate-waits');
  const later = election(
    { [n2]: at(5, 4500) },
    { store: asyncStore },
    {
      ...sawLeaderAt(at(5, 4500)),
      election: { epoch: EPOCH_5, since: ms(NOW - 600) },
    },
  );
  assert.equal(codeOf(later), 'elected');
});

// The first rule of a new leader.

test('a new leader begins with the replicas that are there and on its history, as many as are required', () => {
  const stray = on(4, 4900, [1, 1000], [2, 2000], [3, 3000]);
  const store = { members: [n1, n2, n3, n4], record: { rule: any(1, n2, n3) } };
  const change = { store, peers: { [n4]: fresh(n4, cut(stray)) } };
  assert.deepEqual(recordIn(election({ [n2]: at(5, 4500), [n3]: at(5, 4400) }, change)).rule, any(1, n3));
});

test('nosync and nofailover members acknowledge nothing', () => {
  const members = [n1, n2, n3, member(n4, { nosync: true }), member(n5, { nofailover: true })];
  const decision = election({ [n2]: at(5, 4500), [n3]: at(5, 4400) }, { store: { members } });
  assert.deepEqual(recordIn(decision).rule, any(1, n3));
});

test('too few replicas there: block counts on those that are known, degrade on those that are there', () => {
  const store = { record: { rule: any(1, n2) } };
  const alone = { peers: { [n3]: silent(5000) } };
  const sealed = { [n2]: at(5, 4500) };
  assert.deepEqual(recordIn(election(sealed, { store, ...alone })).rule, any(1, n1, n3));
  const degrade = { ...store, config: { whenShort: 'degrade' } } as const;
  assert.deepEqual(recordIn(election(sealed, { store: degrade, ...alone })).rule, any(0));
});

test('the durability of a new epoch is the configured one', () => {
  const decision = election({ [n2]: at(5, 4500), [n3]: at(5, 4400) }, { store: { config: { durability: 'async' } } });
  assert.equal(recordIn(decision).durability, 'async');
  assert.deepEqual(recordIn(decision).rule, any(0));
});

// Where there is no election.

test('nobody is elected on a stale view of the store, in a paused cluster, while the server is busy or not founded', () => {
  const sealed = { [n2]: at(5, 4500), [n3]: at(5, 4400) };
  const base = { [n2]: seal(at(5, 4500)), [n3]: seal(at(5, 4400)) };
  const stale = decideOn({
    engine: cut(),
    store: { kind: 'stale', content: content({ seals: base }), silentMs: 100 },
    peers: { [n1]: silent(3000) },
  });
  assert.deepEqual(stale.commands, []);
  assert.deepEqual(election(sealed, { store: { paused: true } }).commands, []);
  assert.deepEqual(election(sealed, { job: { kind: 'start', sinceMs: 1, progress: null } }).commands, []);
  assert.deepEqual(election(sealed, { engine: cut(null) }).commands, []);
});

test('once elected, the node forgets the election', () => {
  const decision = election(
    { [n2]: at(5, 4500), [n3]: at(5, 4400) },
    {},
    { election: { epoch: EPOCH_5, since: ms(1) } },
  );
  assert.equal(decision.memory.election, null);
});
