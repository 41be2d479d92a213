import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AckRule,
  type Decision,
  type MemberId,
  type Memory,
  ms,
  type Position,
  type ReplicaProgress,
  standingWarnings,
} from '../src/index.ts';
import {
  any,
  codeOf,
  commandOf,
  commitOf,
  confirmed,
  cut,
  decideOn,
  fresh,
  kindsOf,
  member,
  memory,
  NOW,
  n1,
  n2,
  n3,
  n4,
  n5,
  type ObservationChange,
  observation,
  primary,
  RECORD_REVISION,
  recordIn,
  refusing,
  replica,
  type StoreChange,
  seal,
  silent,
  tags,
} from './support/build.ts';
import { at } from './support/positions.ts';

interface Leading {
  readonly rule: AckRule;
  readonly nextRule?: AckRule;
  /** What the server counts by; the recorded rule unless told. Null: not proven. */
  readonly running?: AckRule | null;
  readonly barrier?: number | null;
  readonly replicas: readonly (MemberId | ReplicaProgress)[];
  readonly store?: StoreChange;
  readonly memory?: Partial<Memory>;
}

/** The leader's decision about its ackers. Four members; its log ends at 4500. */
function leading(given: Leading): Decision {
  return decideOn(leadingChange(given), given.memory);
}

function leadingChange({ rule, nextRule, running, barrier, replicas, store }: Leading): ObservationChange {
  return {
    self: n1,
    engine: primary({
      acks: {
        running: running === undefined ? rule : running,
        barrier: barrier === null ? null : at(5, barrier ?? 4110),
      },
      replicas: replicas.map((each) => (typeof each === 'string' ? confirmed(each) : each)),
    }),
    store: { members: [n1, n2, n3, n4], ...store, record: { rule, nextRule: nextRule ?? null, ...store?.record } },
  };
}

const withTags = (change: ObservationChange, zone: string | null): Decision =>
  decideOn({ ...change, tags: tags({ zone }) });

const away = (id: MemberId, forMs: number): Partial<Memory> => ({ ackersGoneSince: new Map([[id, ms(NOW - forMs)]]) });
const unchanged = (decision: Decision): void => {
  assert.equal(codeOf(decision), 'leading');
  assert.deepEqual(decision.commands, []);
};

/** The rule that a decision begins to move to. */
const begun = (decision: Decision): AckRule | null => {
  assert.equal(codeOf(decision), 'rule-change');
  assert.deepEqual(kindsOf(decision), ['commit: begin ack-rule change', 'set-ack-rule']);
  assert.deepEqual(commandOf(decision, 'set-ack-rule').rule, recordIn(decision).nextRule);
  return recordIn(decision).nextRule;
};

// Step 1: record both rules, before the server hears of the new one.

test('grow: a replica that streams and is near joins', () => {
  const decision = leading({ rule: any(1, n2), replicas: [n2, n3] });
  assert.deepEqual(begun(decision), any(1, n2, n3));
  assert.deepEqual(recordIn(decision).rule, any(1, n2), 'the old rule stays beside it');
  assert.deepEqual(commitOf(decision).expect, [{ key: 'record', is: RECORD_REVISION }]);
});

test('a cluster that is being built protects with what it has', () => {
  assert.deepEqual(begun(leading({ rule: any(0), replicas: [n2] })), any(1, n2));
  const two = { config: { requiredAcks: 2 } };
  assert.deepEqual(begun(leading({ rule: any(0), replicas: [n2], store: two })), any(1, n2));
  assert.deepEqual(begun(leading({ rule: any(1, n2), replicas: [n2, n3], store: two })), any(2, n2, n3));
});

const unfit: readonly (readonly [string, ReplicaProgress, StoreChange])[] = [
  ['is catching up', confirmed(n3, { kind: 'catching-up' }), {}],
  ['lags too far', confirmed(n3, { confirmed: at(5, 4100) }), { config: { ackerLagBytes: 399 } }],
  ['has not answered for long', confirmed(n3, { silentMs: 2500 }), {}],
  ['is sealed against this leader', confirmed(n3), { seals: { [n3]: seal(at(5, 4400)) } }],
  ['is tagged nosync', confirmed(n3), { members: [n1, n2, member(n3, { nosync: true })] }],
  ['is tagged nofailover', confirmed(n3), { members: [n1, n2, member(n3, { nofailover: true })] }],
  ['is no member', confirmed(n3), { members: [n1, n2] }],
];

for (const [name, replica, store] of unfit) {
  test(`a replica that ${name} does not join`, () => {
    unchanged(leading({ rule: any(1, n2), replicas: [n2, replica], store }));
  });
}

test('shrink: an acker that has been away for its time of grace is no longer counted on', () => {
  const gone = (forMs: number) => leading({ rule: any(1, n2, n3), replicas: [n2], memory: away(n3, forMs) });
  unchanged(gone(1499));
  assert.deepEqual(begun(gone(1500)), any(1, n2));
});

test('since when an acker is away is remembered, and forgotten when it is back', () => {
  const first = leading({ rule: any(1, n2, n3), replicas: [n2] });
  assert.deepEqual([...first.memory.ackersGoneSince], [[n3, NOW]]);
  const back = leading({ rule: any(1, n2, n3), replicas: [n2, n3], memory: first.memory });
  assert.deepEqual([...back.memory.ackersGoneSince], []);
});

test('a member that was removed or tagged nosync leaves the rule at once', () => {
  assert.deepEqual(
    begun(leading({ rule: any(1, n2, n3), replicas: [n2, n3], store: { members: [n1, n2] } })),
    any(1, n2),
  );
  const members = [n1, n2, member(n3, { nosync: true })];
  assert.deepEqual(begun(leading({ rule: any(1, n2, n3), replicas: [n2, n3], store: { members } })), any(1, n2));
});

test('raise and lower the number of acks', () => {
  const two = { config: { requiredAcks: 2 } };
  assert.deepEqual(begun(leading({ rule: any(1, n2, n3), replicas: [n2, n3], store: two })), any(2, n2, n3));
  assert.deepEqual(begun(leading({ rule: any(2, n2, n3), replicas: [n2, n3] })), any(1, n2, n3));
});

test('no change is begun towards a rule that nobody can fulfil now', () => {
  const store = { config: { requiredAcks: 2 } };
  unchanged(leading({ rule: any(1, n2, n3), replicas: [n2], store, memory: away(n3, 100) }));
});

test('block: too few replicas change nothing; writes wait', () => {
  unchanged(
    leading({
      rule: any(1, n2, n3),
      replicas: [],
      memory: {
        ackersGoneSince: new Map([
          [n2, ms(0)],
          [n3, ms(0)],
        ]),
      },
    }),
  );
  unchanged(
    leading({ rule: any(2, n2, n3), replicas: [n2], store: { config: { requiredAcks: 2 } }, memory: away(n3, 60_000) }),
  );
});

test('block: other replicas may take the place of ackers that are gone', () => {
  const memory = {
    ackersGoneSince: new Map([
      [n2, ms(0)],
      [n3, ms(0)],
    ]),
  };
  assert.deepEqual(begun(leading({ rule: any(1, n2, n3), replicas: [n4], memory })), any(1, n4));
});

const degrade: StoreChange = { config: { whenShort: 'degrade' } };

test('degrade: after its time, the record names the weaker rule first, so that nobody else can be elected', () => {
  const short = (forMs: number) =>
    leading({
      rule: any(1, n2),
      replicas: [],
      store: degrade,
      memory: { ...away(n2, forMs), shortSince: ms(NOW - forMs) },
    });
  unchanged(short(2999));
  assert.deepEqual(begun(short(3000)), any(0));
});

test('degrade: two acks become one before they become none', () => {
  const store: StoreChange = { config: { whenShort: 'degrade', requiredAcks: 2 } };
  const memory = { ...away(n3, 5000), shortSince: ms(NOW - 5000) };
  assert.deepEqual(begun(leading({ rule: any(2, n2, n3), replicas: [n2], store, memory })), any(1, n2));
});

test('since when replicas are short is remembered until there are enough', () => {
  const first = leading({ rule: any(1, n2), replicas: [], store: degrade });
  assert.equal(first.memory.shortSince, NOW);
  assert.equal(
    leading({ rule: any(1, n2), replicas: [n2], store: degrade, memory: first.memory }).memory.shortSince,
    null,
  );
});

test('async: the leader acknowledges alone, and back', () => {
  const toAsync = leading({ rule: any(1, n2, n3), replicas: [n2, n3], store: { config: { durability: 'async' } } });
  assert.deepEqual(begun(toAsync), any(0));
  assert.equal(recordIn(toAsync).durability, 'sync', 'until the server no longer waits for replicas');
  const toSync = leading({ rule: any(0), replicas: [n2, n3], store: { record: { durability: 'async' } } });
  assert.deepEqual(begun(toSync), any(1, n2, n3));
  assert.equal(recordIn(toSync).durability, 'sync');
  const nobody = leading({ rule: any(0), replicas: [], store: { record: { durability: 'async' } } });
  assert.equal(codeOf(nobody), 'durability-changed');
  assert.equal(recordIn(nobody).durability, 'sync');
});

test('where async began is recorded with it, and every later leader must hold it', () => {
  const config = { durability: 'async' } as const;
  const done = leading({
    rule: any(1, n2, n3),
    nextRule: any(0),
    running: any(0),
    barrier: 4480,
    replicas: [n2, n3],
    store: { config },
  });
  assert.equal(codeOf(done), 'rule-changed');
  assert.equal(recordIn(done).durability, 'async');
  assert.deepEqual(recordIn(done).floor, at(5, 4500));
  const alone = leading({ rule: any(0), replicas: [], store: { config } });
  assert.equal(codeOf(alone), 'durability-changed');
  assert.deepEqual(recordIn(alone).floor, at(5, 4500));
  const lost = (end: number) =>
    decideOn(
      {
        engine: cut(at(5, end)),
        peers: { [n1]: silent(60_000), [n3]: silent(60_000) },
        store: {
          sessions: [n2],
          seals: { [n2]: seal(at(5, end)) },
          config,
          record: { durability: 'async', rule: any(0), floor: at(5, 4500) },
        },
      },
      { leaderPosition: at(5, 4600) },
    );
  assert.equal(codeOf(lost(4499)), 'candidate-behind');
  assert.notEqual(codeOf(lost(4500)), 'candidate-behind');
});

test('async after a degrade that was not recorded to its end: what was acknowledged alone in sync lies below the floor', () => {
  const done = leading({
    rule: any(1, n2, n3),
    nextRule: any(0),
    running: any(0),
    barrier: 400,
    replicas: [],
    store: { config: { durability: 'async', whenShort: 'degrade' } },
  });
  assert.equal(recordIn(done).durability, 'async');
  assert.deepEqual(recordIn(done).floor, at(5, 4500));
});

test('a server that counts by another rule than recorded, or by one not proven, is put right before anything else', () => {
  for (const running of [null, any(1, n2, n3), any(0)]) {
    const decision = leading({ rule: any(1, n2), running, replicas: [n2, n3] });
    assert.deepEqual(decision.commands, [{ kind: 'set-ack-rule', rule: any(1, n2) }]);
    assert.equal(codeOf(decision), 'rule-repair');
  }
});

// Steps 2 to 4.

const growing = { rule: any(1, n2), nextRule: any(1, n2, n3) };

test('the server counts by the new rule, and proves it, before the barrier is looked at', () => {
  for (const running of [null, any(1, n2)]) {
    const decision = leading({ ...growing, running, replicas: [n2, n3] });
    assert.deepEqual(decision.commands, [{ kind: 'set-ack-rule', rule: any(1, n2, n3) }]);
  }
});

test('the new rule is recorded alone only when enough of its members hold the barrier', () => {
  const changing = (barrier: number | null, ends: readonly number[]) =>
    leading({
      ...growing,
      running: any(1, n2, n3),
      barrier,
      replicas: [confirmed(n2, { confirmed: at(5, ends[0] ?? 0) }), confirmed(n3, { confirmed: at(5, ends[1] ?? 0) })],
    });
  assert.equal(codeOf(changing(4450, [4449, 4440])), 'rule-barrier');
  assert.equal(codeOf(changing(null, [4500, 4500])), 'rule-barrier');
  const done = changing(4450, [4449, 4450]);
  assert.equal(codeOf(done), 'rule-changed');
  assert.deepEqual(recordIn(done).rule, any(1, n2, n3));
  assert.equal(recordIn(done).nextRule, null);
  assert.deepEqual(done.memory.finishing, { revision: RECORD_REVISION, rule: any(1, n2, n3) });
});

test('two acks need the barrier on two', () => {
  const changing = (end: number) =>
    leading({
      rule: any(1, n2, n3),
      nextRule: any(2, n2, n3),
      running: any(2, n2, n3),
      barrier: 4450,
      replicas: [n2, confirmed(n3, { confirmed: at(5, end) })],
      store: { config: { requiredAcks: 2 } },
    });
  assert.equal(codeOf(changing(4449)), 'rule-barrier');
  assert.equal(codeOf(changing(4450)), 'rule-changed');
});

test('a member that holds the barrier counts also when it has gone since', () => {
  const decision = leading({
    ...growing,
    running: any(1, n2, n3),
    barrier: 4450,
    replicas: [n2, confirmed(n3, { silentMs: 60_000 })],
  });
  assert.equal(codeOf(decision), 'rule-changed');
});

test('when the new rule cannot be fulfilled any more and the old one can, the change is taken back, with proof and barrier', () => {
  const back = { rule: any(1, n2, n3), nextRule: any(1, n4) };
  const decision = leading({ ...back, running: any(1, n4), replicas: [n2] });
  assert.deepEqual(decision.commands, [{ kind: 'set-ack-rule', rule: any(1, n2, n3) }]);
  const proven = leading({ ...back, running: any(1, n2, n3), barrier: 4450, replicas: [n2] });
  assert.equal(codeOf(proven), 'rule-changed');
  assert.deepEqual(recordIn(proven).rule, any(1, n2, n3));
});

test('but not while the end of the change may still arrive in the store', () => {
  const memory = { finishing: { revision: RECORD_REVISION, rule: any(1, n4) } };
  const decision = leading({ rule: any(1, n2, n3), nextRule: any(1, n4), running: any(1, n4), replicas: [n2], memory });
  assert.equal(codeOf(decision), 'rule-recheck');
  assert.deepEqual(kindsOf(decision), ['commit: keep ack-rule change']);
  assert.deepEqual(recordIn(decision).nextRule, any(1, n4));
});

test('when neither rule can be fulfilled and another can, the record is locked first', () => {
  const lost: Leading = {
    rule: any(1, n2),
    nextRule: any(1, n3),
    running: any(1, n3),
    replicas: [n4],
    memory: away(n2, 5000),
  };
  const decision = leading(lost);
  assert.equal(codeOf(decision), 'rule-locked');
  assert.deepEqual(recordIn(decision).nextRule, any(0));
  assert.deepEqual(recordIn(decision).rule, any(1, n2));
  assert.deepEqual(kindsOf(decision), ['commit: lock ack-rule change']);
  const locked = { ...lost, nextRule: any(0) };
  assert.deepEqual(leading(locked).commands, [{ kind: 'set-ack-rule', rule: any(1, n4) }], 'never alone in between');
  const done = leading({ ...locked, running: any(1, n4), barrier: 4450 });
  assert.deepEqual(recordIn(done).rule, any(1, n4));
  assert.equal(recordIn(done).nextRule, null);
});

test('two failures during a change do not keep a cluster from degrading', () => {
  const memory = {
    ackersGoneSince: new Map([
      [n2, ms(0)],
      [n3, ms(0)],
    ]),
    shortSince: ms(NOW - 5000),
  };
  const lost = leading({
    rule: any(1, n2, n3),
    nextRule: any(1, n2),
    running: any(1, n2),
    replicas: [],
    store: degrade,
    memory,
  });
  assert.equal(codeOf(lost), 'rule-locked');
  const locked = leading({
    rule: any(1, n2, n3),
    nextRule: any(0),
    running: any(1, n2),
    replicas: [],
    store: degrade,
    memory,
  });
  assert.deepEqual(locked.commands, [{ kind: 'set-ack-rule', rule: any(0) }]);
});

test('block: a locked record never lets the leader acknowledge alone', () => {
  const locked = leading({ rule: any(1, n2, n3), nextRule: any(0), running: any(1, n2), replicas: [] });
  assert.deepEqual(locked.commands, [{ kind: 'set-ack-rule', rule: any(1, n2, n3) }]);
  const waiting = leading({ rule: any(1, n2, n3), nextRule: any(0), running: any(1, n2, n3), replicas: [] });
  assert.equal(codeOf(waiting), 'rule-barrier');
});

test('neither rule can be fulfilled and nothing else is at hand: the change waits where it is', () => {
  const decision = leading({
    rule: any(1, n2),
    nextRule: any(1, n3),
    running: any(1, n3),
    barrier: 4450,
    replicas: [],
  });
  assert.equal(codeOf(decision), 'rule-barrier');
});

// Who could not take part in an election is not counted on.

const unfitFor = (id: MemberId, forMs: number): Partial<Memory> => ({
  ackersUnfitSince: new Map([[id, ms(NOW - forMs)]]),
});

/** The leader's decision with three ackers, one of which (n3) shows what `change` says. */
function withUnfit(change: ObservationChange, remembered: Partial<Memory> = {}, rule = any(1, n2, n3)): Decision {
  const engine = primary({
    acks: { running: rule, barrier: at(5, 4110) },
    replicas: rule.members.map((id) => confirmed(id)),
  });
  return decideOn({ self: n1, engine, ...change, store: { ...change.store, record: { rule } } }, remembered);
}

const blockedReplica = fresh(n3, replica({ blocked: 'its applier has stopped' }));
const kinds: readonly (readonly [string, ObservationChange])[] = [
  ['whose agent has no session', { store: { sessions: [n1, n2] } }],
  ['whose agent is not heard for the time of a lease', { peers: { [n3]: silent(6000) } }],
  ['whose agent refuses for the time of a lease', { peers: { [n3]: refusing(6000) } }],
  ['that cannot apply what it receives', { peers: { [n3]: blockedReplica } }],
];

for (const [name, change] of kinds) {
  test(`an acker ${name} leaves the rule after its time of grace, if others are enough`, () => {
    const first = withUnfit(change);
    unchanged(first);
    assert.deepEqual([...first.memory.ackersUnfitSince], [[n3, NOW]]);
    unchanged(withUnfit(change, unfitFor(n3, 1499)));
    assert.deepEqual(begun(withUnfit(change, unfitFor(n3, 1500))), any(1, n2));
  });

  test(`an acker ${name} stays where nobody can take its place, and is named`, () => {
    const decision = withUnfit(change, unfitFor(n3, 60_000), any(2, n2, n3));
    const both = withUnfit(
      { ...change, store: { ...change.store, config: { requiredAcks: 2 } } },
      unfitFor(n3, 60_000),
      any(2, n2, n3),
    );
    assert.notDeepEqual(kindsOf(decision), []);
    unchanged(both);
    const obs = observation({
      self: n1,
      engine: primary({ acks: { running: any(2, n2, n3), barrier: at(5, 4110) } }),
      ...change,
      store: { ...change.store, config: { requiredAcks: 2 }, record: { rule: any(2, n2, n3) } },
    });
    const [warning, ...rest] = standingWarnings(obs, memory(unfitFor(n3, 60_000)));
    assert.match(warning ?? '', /^n3 acknowledges, but .*: if n1 is lost now, n3 is missing in the election/);
    assert.deepEqual(rest, []);
  });

  test(`a replica ${name} does not join`, () => {
    const engine = primary({ acks: { running: any(1, n2), barrier: at(5, 4110) } });
    unchanged(decideOn({ self: n1, engine, ...change, store: { ...change.store, record: { rule: any(1, n2) } } }));
  });
}

test('a cluster whose leaderships could become too many says so long before', () => {
  const warned = (timeline: number, opened: Position) =>
    standingWarnings(
      observation({ self: n1, engine: primary(), store: { record: { rule: any(1, n2), timeline, opened } } }),
      memory(),
    );
  const set = (sources: number): Position => ({
    kind: 'gtid',
    set: new Map(Array.from({ length: sources }, (_, index) => [`${index}`, [{ first: 1n, last: 2n }]])),
    timelines: [1],
    bytesPerTransaction: 1,
  });
  assert.deepEqual(warned(10_000, at(5, 4100)), []);
  assert.deepEqual(warned(10_000, set(4095)), []);
  assert.match(warned(10_000, set(4096)).join(), /name 4096 sources.*Move the data to a new cluster/);
  assert.match(warned(2 ** 19, set(1)).join(), /on timeline 524288; it can have 1048576/);
  assert.match(warned(2 ** 31, at(5, 4100)).join(), /on timeline 2147483648/);
});

test('an agent that is silent for less than a lease costs its member nothing', () => {
  unchanged(withUnfit({ peers: { [n3]: silent(5999) } }, unfitFor(n3, 60_000)));
});

test('when all ackers are unfit the rule stays as it is', () => {
  unchanged(
    withUnfit(
      { store: { sessions: [n1] } },
      { ackersUnfitSince: new Map([n2, n3].map((id) => [id, ms(NOW - 60_000)] as const)) },
    ),
  );
});

// More replicas never mean less availability.

const FIVE = [n1, n2, n3, n4, n5];

test('no more acknowledge than twice as many as must; those of the present rule stay', () => {
  assert.deepEqual(
    begun(leading({ rule: any(1, n2), replicas: [n2, n3, n4, n5], store: { members: FIVE } })),
    any(1, n2, n3),
  );
  unchanged(leading({ rule: any(1, n4, n5), replicas: [n2, n3, n4, n5], store: { members: FIVE } }));
  const two = { members: FIVE, config: { requiredAcks: 2 } };
  assert.deepEqual(
    begun(leading({ rule: any(2, n2, n3), replicas: [n2, n3, n4, n5], store: two })),
    any(2, n2, n3, n4, n5),
  );
});

test('when an acker goes another one takes its place at once', () => {
  const decision = leading({ rule: any(1, n2, n3), replicas: [n2, n4], store: { members: FIVE } });
  assert.deepEqual(begun(decision), any(1, n2, n4));
});

test('ackers are of different zones, away from the leader where that is possible', () => {
  const zoned = (zones: Readonly<Record<string, string | null>>): StoreChange => ({
    members: FIVE.map((id) => member(id, { zone: zones[id] ?? null })),
  });
  const replicas = [n2, n3, n4, n5];
  const rule = any(1, n2, n3);
  const leadingIn = (zones: Readonly<Record<string, string | null>>) =>
    withTags(leadingChange({ rule, replicas, store: zoned(zones) }), zones[n1] ?? null);
  assert.deepEqual(begun(leadingIn({ [n1]: 'a', [n2]: 'a', [n3]: 'b', [n4]: 'b', [n5]: 'c' })), any(1, n3, n5));
  unchanged(leadingIn({ [n1]: 'a', [n2]: 'b', [n3]: 'c', [n4]: 'b', [n5]: 'c' }));
  unchanged(leadingIn({}));
});
