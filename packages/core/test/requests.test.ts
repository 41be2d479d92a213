import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Decision,
  epoch,
  type Memory,
  ms,
  type OperatorRequest,
  type RequestOutcome,
  revision,
} from '../src/index.ts';
import {
  absent,
  any,
  codeOf,
  commitOf,
  confirmed,
  cut,
  decideOn,
  fresh,
  kindsOf,
  member,
  NOW,
  n1,
  n2,
  n3,
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

type Change<Kind extends OperatorRequest['kind']> = Partial<Extract<OperatorRequest, { kind: Kind }>>;

const switchover = (change: Change<'switchover'> = {}): OperatorRequest => ({
  kind: 'switchover',
  id: 'r1',
  from: n1,
  to: n2,
  notBeforeWallMs: null,
  timeoutMs: 10_000,
  ...change,
});
const failover = (change: Change<'failover'> = {}): OperatorRequest => ({
  kind: 'failover',
  id: 'r1',
  to: n2,
  proof: 'override',
  timeoutMs: 10_000,
  ...change,
});

/** The leader with a request. */
function asked(
  request: OperatorRequest,
  change: ObservationChange & { readonly store?: StoreChange } = {},
  remembered: Partial<Memory> = {},
): Decision {
  return decideOn({ self: n1, ...change, store: { ...change.store, request } }, remembered);
}

const since = (step: string, forMs = 0): Partial<Memory> => ({ request: { id: 'r1', since: ms(NOW - forMs), step } });

/** How a decision ends the request; null when it does not. */
function outcomeOf(decision: Decision): RequestOutcome | null {
  const commit = decision.commands.find((command) => command.kind === 'commit');
  if (commit?.kind !== 'commit') return null;
  for (const put of commit.put) {
    if (put.key === 'outcomes/r1') {
      assert.ok(commit.put.some((each) => each.key === 'request' && each.value === 'delete'));
      assert.ok(commit.expect.some((each) => each.key === 'request' && each.is === revision(70)));
      return put.value as RequestOutcome;
    }
  }
  return null;
}

// Switchover.

test('switchover: checkpoint, then an orderly stop; nobody is chosen before the stop', () => {
  const first = asked(switchover());
  assert.deepEqual(kindsOf(first), ['checkpoint']);
  const working = asked(switchover(), { job: { kind: 'checkpoint', sinceMs: 5, progress: null } }, first.memory);
  assert.deepEqual(working.commands, []);
  const second = asked(switchover(), {}, first.memory);
  assert.deepEqual(second.commands, [{ kind: 'stop', mode: 'handover' }]);
  const stopping = asked(switchover(), { job: { kind: 'stop', sinceMs: 5, progress: null } }, second.memory);
  assert.equal(codeOf(stopping), 'switchover-stopping');
  assert.deepEqual(stopping.commands, []);
});

test('switchover: an orderly stop that did not end is cut short', () => {
  assert.deepEqual(asked(switchover(), {}, since('stop')).commands, [{ kind: 'stop', mode: 'fence' }]);
});

const refusals: readonly (readonly [
  string,
  RegExp,
  OperatorRequest,
  ObservationChange & { readonly store?: StoreChange },
])[] = [
  ['to itself', /n1 leads already/, switchover({ to: n1 }), {}],
  ['from a node that does not lead', /n3 does not lead any more; n1 does/, switchover({ from: n3 }), {}],
  ['to a stranger', /n9 is not a member/, switchover({ to: 'n9' as typeof n1 }), {}],
  [
    'to a nofailover member',
    /n2 is tagged nofailover/,
    switchover(),
    { store: { members: [n1, member(n2, { nofailover: true }), n3] } },
  ],
  [
    'to a node whose agent is gone',
    /n2's agent does not answer/,
    switchover(),
    { peers: { [n2]: silent(500) }, store: { sessions: [n1, n3] } },
  ],
  [
    'to a node that does not replicate',
    /n2 does not replicate from n1/,
    switchover(),
    { engine: primary({ replicas: [confirmed(n3)] }) },
  ],
  [
    'to a node that is only catching up',
    /n2 does not replicate from n1/,
    switchover(),
    { engine: primary({ replicas: [confirmed(n2, { kind: 'catching-up' }), confirmed(n3)] }) },
  ],
  [
    'to a node that lags',
    /n2 lags by 400 bytes \(limit 399\)/,
    switchover(),
    {
      engine: primary({ replicas: [confirmed(n2, { confirmed: at(5, 4100) }), confirmed(n3)] }),
      store: { config: { ackerLagBytes: 399 } },
    },
  ],
  [
    'to anybody, when nobody is fit',
    /No replica is fit/,
    switchover({ to: null }),
    { engine: primary({ replicas: [] }) },
  ],
];

for (const [name, text, request, change] of refusals) {
  test(`switchover ${name} is refused with the reason, and nothing is stopped`, () => {
    const decision = asked(request, change);
    assert.equal(codeOf(decision), 'request-refused');
    assert.deepEqual(kindsOf(decision), ['commit: close request']);
    const outcome = outcomeOf(decision);
    assert.equal(outcome?.result, 'refused');
    assert.match(outcome?.reason ?? '', text);
  });
}

test('a switchover to a node that is alive by its session and not heard yet waits for it, five seconds at most', () => {
  const change = { peers: { [n2]: silent(Number.POSITIVE_INFINITY) } };
  const first = asked(switchover(), change);
  assert.equal(codeOf(first), 'request-seen');
  assert.deepEqual(kindsOf(first), []);
  assert.match(first.reasons[0]?.text ?? '', /n2's agent does not answer.*waiting for its first word/);
  assert.deepEqual(kindsOf(asked(switchover(), change, since('seen', 5_000))), []);
  assert.deepEqual(kindsOf(asked(switchover(), {}, since('seen', 4_000))), ['checkpoint'], 'heard');
  for (const [request, waitedMs] of [
    [switchover(), 5_001],
    [switchover({ timeoutMs: 2_000 }), 1_001],
  ] as const) {
    const late = outcomeOf(asked(request, change, since('seen', waitedMs)));
    assert.equal(late?.result, 'refused');
    assert.match(late?.reason ?? '', /n2's agent does not answer/);
  }
});

test('a switchover to anybody waits too, when nobody is fit and somebody may yet be heard', () => {
  const unheard = { peers: { [n2]: silent(100), [n3]: silent(100) } };
  assert.equal(codeOf(asked(switchover({ to: null }), unheard)), 'request-seen');
});

test('switchover to anybody goes on when one replica is fit', () => {
  assert.deepEqual(kindsOf(asked(switchover({ to: null, from: null }))), ['checkpoint']);
});

test('a target that became unfit between checkpoint and stop is refused too', () => {
  const silence = { peers: { [n2]: silent(500) } };
  const gone = { ...silence, store: { sessions: [n1, n3] } };
  assert.equal(outcomeOf(asked(switchover(), gone, since('checkpoint')))?.result, 'refused');
  assert.equal(outcomeOf(asked(switchover(), silence, since('checkpoint', 5_001)))?.result, 'refused');
  const waiting = asked(switchover(), silence, since('checkpoint'));
  assert.deepEqual(kindsOf(waiting), [], 'its session is alive');
  assert.equal(waiting.memory.request?.step, 'checkpoint');
});

test('switchover: what is not ready within its time is given up before anything was changed', () => {
  const job = { kind: 'checkpoint', sinceMs: 9000, progress: null } as const;
  const decision = asked(switchover(), { job }, since('checkpoint', 10_001));
  assert.equal(outcomeOf(decision)?.result, 'failed');
  assert.match(outcomeOf(decision)?.reason ?? '', /nothing was changed/);
});

test('a scheduled switchover waits for its time', () => {
  const decision = asked(switchover({ notBeforeWallMs: 1_700_000_000_001 }));
  assert.equal(codeOf(decision), 'leading');
  assert.deepEqual(kindsOf(asked(switchover({ notBeforeWallMs: 1_700_000_000_000 }))), ['checkpoint']);
});

test('switchover waits for a change of ackers to end', () => {
  const store = { record: { moving: any(1, n2) } };
  const decision = asked(switchover(), { store, engine: primary({ acks: { running: null, barrier: null } }) });
  assert.equal(codeOf(decision), 'rule-applying');
});

test('switchover works in a paused cluster: it is what the operator asked for', () => {
  assert.deepEqual(kindsOf(asked(switchover(), { store: { paused: true } })), ['checkpoint']);
});

// How a new leader answers the request that made it one.

const opening = (request: OperatorRequest, self = n2) =>
  decideOn({
    self,
    engine: primary({ position: at(5, 4500), replicas: [] }),
    store: { record: { leader: self, incarnation: process1(self), phase: 'promoting', opened: null }, request },
  });

test('whoever was asked for reports success when it opens', () => {
  for (const request of [switchover(), switchover({ to: null }), failover(), failover({ proof: 'quorum' })]) {
    const decision = opening(request);
    assert.equal(codeOf(decision), 'opened');
    assert.equal(outcomeOf(decision)?.result, 'done', JSON.stringify(request));
  }
});

test('another one reports that it took over instead, the old leader that the handover was undone', () => {
  assert.match(outcomeOf(opening(switchover(), n3))?.reason ?? '', /n2 did not take over; n3 leads/);
  assert.match(outcomeOf(opening(switchover(), n1))?.reason ?? '', /undone/);
  assert.match(outcomeOf(opening(switchover({ to: null }), n1))?.reason ?? '', /undone/);
  assert.equal(outcomeOf(opening(switchover(), n3))?.result, 'failed');
});

test('a switchover for later survives an election; if its leader is gone, the new one refuses it', () => {
  const later = switchover({ notBeforeWallMs: 1_800_000_000_000 });
  assert.equal(outcomeOf(opening(later)), null);
  assert.equal(codeOf(opening(later)), 'opened');
  const afterwards = decideOn({
    self: n2,
    engine: primary({ acks: { running: any(1, n2, n3), barrier: null } }),
    store: { record: { leader: n2, incarnation: process1(n2) }, request: later },
  });
  assert.equal(outcomeOf(afterwards)?.result, 'refused');
});

// Failover.

test('failover to the leader is refused', () => {
  assert.equal(outcomeOf(asked(failover({ to: n1 })))?.result, 'refused');
});

test('failover that does not happen in its time ends as failed, by the leader that goes on', () => {
  const seen = asked(failover());
  assert.equal(codeOf(seen), 'request-seen');
  assert.deepEqual(asked(failover(), {}, since('seen', 10_000)).commands, []);
  assert.equal(outcomeOf(asked(failover(), {}, since('seen', 10_001)))?.result, 'failed');
});

test('override: the receiver is cut first, then the node leads without proof, on condition that the request still stands', () => {
  const request = failover();
  assert.deepEqual(kindsOf(decideOn({ store: { request } })), ['seal']);
  assert.equal(codeOf(decideOn({ engine: cut(null), store: { request } })), 'reading-log');
  const decision = decideOn({ engine: cut(at(5, 4200)), store: { request } });
  assert.deepEqual(kindsOf(decision), ['commit: take leadership', 'promote']);
  assert.equal(recordIn(decision).cause, 'operator-override');
  assert.deepEqual(recordIn(decision).chosenAt, at(5, 4200));
  assert.ok(commitOf(decision).expect.some((each) => each.key === 'request'));
});

test('override: another node does nothing, and without the word "override" there is none', () => {
  const takes = (request: OperatorRequest) =>
    kindsOf(decideOn({ engine: cut(), store: { request }, peers: { [n1]: silent(5000) } })).includes('promote');
  assert.equal(takes(failover({ to: n3 })), false);
  assert.equal(takes(failover({ proof: 'quorum' })), false);
  assert.equal(takes(failover()), true);
});

test('override: a leader that nobody else can replace, not even by itself, can be told to go on with what it has', () => {
  const store = { record: { rule: any(0) }, request: failover({ to: n1 }) };
  const decision = decideOn({ self: n1, engine: cut(at(5, 4050)), store });
  assert.equal(codeOf(decision), 'elected');
  assert.equal(recordIn(decision).epoch, epoch(6));
  const chosen = { record: { ...recordIn(decision) }, request: failover({ to: n1 }) };
  assert.equal(
    codeOf(decideOn({ self: n1, engine: cut(at(5, 4050)), store: chosen })),
    'promoting',
    'and once is enough',
  );
});

test('override: a server that is down is started first', () => {
  assert.deepEqual(kindsOf(decideOn({ engine: stopped('crashed'), store: { request: failover() } })), ['start']);
});

// Reinit and restart.

const reinit = (id = n2): OperatorRequest => ({ kind: 'reinit', id: 'r1', member: id });
const restart = (id = n2): OperatorRequest => ({ kind: 'restart', id: 'r1', member: id });

test('reinit: a new copy from the open leader, and the request is closed', () => {
  const decision = decideOn({ store: { request: reinit() } });
  assert.deepEqual(kindsOf(decision), ['clone', 'commit: close request']);
  assert.equal(outcomeOf(decision)?.result, 'done');
});

test('reinit: a copy that has begun is not begun again when closing the request failed', () => {
  const job = { kind: 'clone', sinceMs: 50, progress: null } as const;
  assert.deepEqual(kindsOf(decideOn({ engine: absent, job, store: { request: reinit() } })), ['commit: close request']);
});

test('reinit: waits for an open leader and for other work', () => {
  assert.deepEqual(decideOn({ store: { request: reinit() }, peers: { [n1]: silent(500) } }).commands, []);
  const job = { kind: 'rewind', sinceMs: 50, progress: null } as const;
  assert.deepEqual(decideOn({ store: { request: reinit() }, job }).commands, []);
});

test('restart: the request is closed before the server goes down', () => {
  assert.deepEqual(kindsOf(decideOn({ store: { request: restart() } })), ['commit: close request', 'restart']);
});

test('reinit and restart of the leader are refused; of a node that does not answer they end after a while', () => {
  for (const request of [reinit(n1), restart(n1)]) assert.equal(outcomeOf(asked(request))?.result, 'refused');
  for (const request of [reinit(n3), restart(n3)]) {
    assert.equal(outcomeOf(asked(request, {}, since('seen', 29_000))), null);
    assert.equal(outcomeOf(asked(request, {}, since('seen', 30_001)))?.result, 'failed');
  }
});

test('a request of another id starts its own clock', () => {
  const decision = asked(failover(), {}, { request: { id: 'r0', since: ms(0), step: 'seen' } });
  assert.deepEqual(decision.memory.request, { id: 'r1', since: NOW, step: 'seen' });
});

test('a sealed node goes on with nothing but its request', () => {
  const store = { seals: { [n2]: seal(at(5, 4500)) }, request: restart() };
  assert.deepEqual(kindsOf(decideOn({ engine: cut(), store, peers: { [n3]: fresh(n3, replica()) } })), [
    'commit: close request',
    'restart',
  ]);
});

test('reinit and restart are refused where there is nothing of ours to copy over or to restart', () => {
  const engine = { kind: 'refused', problem: 'It was made by PostgreSQL 9.6.' } as const;
  for (const request of [reinit(), restart()]) {
    const decision = decideOn({ engine, store: { request } });
    assert.deepEqual(kindsOf(decision), ['commit: close request']);
    assert.equal(outcomeOf(decision)?.result, 'refused');
  }
  assert.equal(outcomeOf(decideOn({ engine: absent, store: { request: restart() } }))?.result, 'refused');
  assert.deepEqual(kindsOf(decideOn({ engine: absent, store: { request: reinit() } })), [
    'clone',
    'commit: close request',
  ]);
});
