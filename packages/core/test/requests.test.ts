import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Decision,
  epoch,
  incarnation,
  type Memory,
  ms,
  type OperatorRequest,
  type RequestOutcome,
  type RequestStep,
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
  disconnected,
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

const since = (step: RequestStep, forMs = 0): Partial<Memory> => ({
  request: { id: 'r1', since: ms(NOW - forMs), step },
});

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
    'to a node that has no session',
    /n2's agent has no session in the store; it could not lead/,
    switchover(),
    { store: { sessions: [n1, n3] } },
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

test('a switchover to a node whose agent was started anew waits for the word of the new process', () => {
  const older = { peers: { [n2]: fresh(n2, replica(), { incarnation: incarnation('older') }) } };
  const waiting = asked(switchover(), older);
  assert.equal(codeOf(waiting), 'request-seen');
  assert.match(waiting.reasons[0]?.text ?? '', /n2's agent was started anew.*waiting for its first word/);
  const late = outcomeOf(asked(switchover(), older, since('seen', 5_001)));
  assert.match(late?.reason ?? '', /n2's agent was started anew and has not answered yet/);
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
  const due = asked(switchover({ notBeforeWallMs: 1_700_000_000_000 }));
  assert.deepEqual(kindsOf(due), ['commit: begin scheduled request']);
  assert.deepEqual(commitOf(due).put, [{ key: 'request', value: { ...switchover(), askedWallMs: 1_700_000_000_000 } }]);
});

test('when a scheduled switchover begins is decided by the clock of the leader alone', () => {
  const request = switchover({ notBeforeWallMs: 1_600_000_000_000 });
  const store = { request, paused: true };
  const others = decideOn({ store, peers: { [n1]: silent(5000) } }, { leaderNotOpenSince: null });
  assert.equal(others.suspects, null, 'a cluster that is paused stays so until the store says that it has begun');
  const missed = asked(switchover({ notBeforeWallMs: 1_700_000_000_000 - 70_001 }));
  assert.match(outcomeOf(missed)?.reason ?? '', /^Its time passed 70 s ago/);
});

test('switchover waits for a change of ackers to end', () => {
  const store = { record: { nextRule: any(1, n2) } };
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
  assert.deepEqual(seen.memory.request, { id: 'r1', since: NOW, step: 'seen' });
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
  assert.equal(recordIn(decision).epoch, epoch(1005));
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

test('reinit: a seal of this node is given back first: it vouches for the data that goes', () => {
  const decision = decideOn({
    engine: cut(at(5, 4500)),
    store: { request: reinit(), seals: { [n2]: seal(at(5, 4500)) } },
  });
  assert.deepEqual(kindsOf(decision), ['commit: withdraw seal']);
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

test('reinit: a copy that could not be begun ends as failed, with what was said', () => {
  const failures = [{ command: 'clone', agoMs: 50, code: 'ENGINE_CLONE_FAILED', message: 'No room.' }];
  const failed = decideOn({ store: { request: reinit() }, failures }, since('seen', 100));
  assert.equal(outcomeOf(failed)?.result, 'failed');
  assert.match(outcomeOf(failed)?.reason ?? '', /No room/);
  const before = decideOn({ store: { request: reinit() }, failures }, since('seen', 10));
  assert.deepEqual(
    kindsOf(before),
    ['clone', 'commit: close request'],
    'what failed before it was asked for is another matter',
  );
});

const begun = (until: 'runs' | 'streams' | 'counts'): OperatorRequest => ({
  kind: 'restart',
  id: 'r1',
  member: n2,
  begun: { by: process1(n2), until },
});

test('restart: the server goes down first, then that is written; the request stays until it acknowledges again', () => {
  const first = decideOn({ store: { request: restart() } });
  assert.deepEqual(kindsOf(first), ['restart', 'commit: begin restart']);
  assert.deepEqual(commitOf(first).put, [{ key: 'request', value: begun('counts') }]);
  const unwritten = decideOn({ store: { request: restart() } }, first.memory);
  assert.deepEqual(kindsOf(unwritten), ['commit: begin restart'], 'not restarted again');
  const job = { kind: 'stop', sinceMs: 10, progress: null } as const;
  assert.equal(outcomeOf(decideOn({ store: { request: begun('counts') }, job }, first.memory)), null);
  const unseen = { [n1]: fresh(n1, primary({ replicas: [confirmed(n3)] })) };
  assert.equal(outcomeOf(decideOn({ store: { request: begun('counts') }, peers: unseen }, first.memory)), null);
  const uncounted = { request: begun('counts'), record: { rule: any(1, n3) } };
  assert.equal(outcomeOf(decideOn({ store: uncounted }, first.memory)), null);
  const back = outcomeOf(decideOn({ store: { request: begun('counts') } }, first.memory));
  assert.deepEqual([back?.result, back?.reason], ['done', 'n2 has restarted, and streams and acknowledges again.']);
});

test('restart: what does not come back ends as failed, what is not counted any more as done', () => {
  const late = since('restarting', 60_001);
  const down = decideOn({ store: { request: begun('streams') }, engine: stopped('crashed') }, late);
  assert.match(outcomeOf(down)?.reason ?? '', /its server does not run after 60 s/);
  const broken = decideOn({ store: { request: begun('streams') }, engine: disconnected() }, late);
  assert.equal(outcomeOf(broken)?.result, 'failed');
  const uncounted = { request: begun('counts'), record: { rule: any(1, n3) } };
  assert.equal(outcomeOf(decideOn({ store: uncounted }, late))?.result, 'done');
  const failures = [{ command: 'restart', agoMs: 50, code: 'ENGINE_START_FAILED', message: 'FATAL: no.' }];
  const refused = decideOn({ store: { request: begun('runs') }, failures }, since('restarting', 100));
  assert.match(outcomeOf(refused)?.reason ?? '', /did not restart: FATAL: no\./);
});

test('restart: a new agent begins it again, as it cannot know how far the old one came', () => {
  const request = { ...begun('streams'), begun: { by: incarnation('n2.0'), until: 'streams' } } as OperatorRequest;
  assert.deepEqual(kindsOf(decideOn({ store: { request } })), ['restart', 'commit: begin restart']);
});

test('restart: the last one that acknowledges is not taken away, unless that is wanted', () => {
  const alone = { [n1]: fresh(n1, primary({ replicas: [confirmed(n2), confirmed(n3, { kind: 'catching-up' })] })) };
  const refused = outcomeOf(decideOn({ store: { request: restart() }, peers: alone }));
  assert.equal(refused?.result, 'refused');
  assert.match(refused?.reason ?? '', /Without n2 0 of \(n2, n3\) would acknowledge.*--force/);
  const forced: OperatorRequest = { kind: 'restart', id: 'r1', member: n2, force: 'yes' };
  assert.deepEqual(kindsOf(decideOn({ store: { request: forced }, peers: alone }))[0], 'restart');
  const record = { rule: any(1, n3) };
  assert.equal(kindsOf(decideOn({ store: { request: restart(), record }, peers: alone }))[0], 'restart', 'not counted');
});

// What nobody carries out.

test('a request that nobody carries out is closed by any member, a little after its time', () => {
  const peers = { [n1]: silent(60_000), [n3]: silent(60_000) };
  for (const [request, limitMs] of [
    [failover({ to: n3 }), 12_000],
    [failover({ proof: 'quorum' }), 12_000],
    [switchover({ to: n3 }), 25_000],
    [reinit(n3), 35_000],
    [restart(n3), 45_000],
  ] as const) {
    for (const engine of [replica(), cut(), stopped('crashed')]) {
      const seals = { [n2]: seal(at(5, 4500)) };
      assert.equal(outcomeOf(decideOn({ engine, peers, store: { request, seals } }, since('seen', limitMs))), null);
      const ended = outcomeOf(decideOn({ engine, peers, store: { request, seals } }, since('seen', limitMs + 1)));
      assert.equal(ended?.result, 'failed', request.kind);
    }
  }
  const scheduled = switchover({ notBeforeWallMs: 1_800_000_000_000 });
  assert.equal(decideOn({ peers, store: { request: scheduled } }, since('seen', 90_000)).memory.request, null);
});

test('a target that was chosen is given time to open', () => {
  const store = { request: failover({ to: n3 }), record: { leader: n3, phase: 'promoting' as const, opened: null } };
  assert.equal(outcomeOf(decideOn({ store }, since('seen', 42_000))), null);
  assert.equal(outcomeOf(decideOn({ store }, since('seen', 42_001)))?.result, 'failed');
});

test('a member that does not answer is described by what is known of it', () => {
  const text = (change: ObservationChange & { readonly store?: StoreChange }) =>
    outcomeOf(asked(reinit(n3), change, since('seen', 30_001)))?.reason ?? '';
  assert.match(text({ store: { sessions: [n1, n2] }, peers: { [n3]: silent(9000) } }), /n3's agent does not run/);
  assert.match(text({ peers: { [n3]: silent(9000) } }), /alive by its session.*not heard by n1/);
  assert.match(text({ peers: { [n3]: fresh(n3, absent) } }), /n3's agent is there.*its server is absent/);
});

test('what was asked long ago, of agents that were all away, is not carried out any more', () => {
  const asked1 = { askedWallMs: 1_700_000_000_000 - 90_001 };
  for (const request of [
    { ...failover(), ...asked1, timeoutMs: 30_000 },
    { ...reinit(), ...asked1 },
    { ...restart(), ...asked1 },
  ] as OperatorRequest[]) {
    assert.match(
      outcomeOf(decideOn({ engine: cut(), store: { request } }))?.reason ?? '',
      /90 s ago.*not begun so late/,
    );
    const inTime = { ...request, askedWallMs: 1_700_000_000_000 - 90_000 } as OperatorRequest;
    assert.equal(outcomeOf(decideOn({ engine: cut(), store: { request: inTime } }))?.result === 'failed', false);
  }
  assert.equal(outcomeOf(asked({ ...switchover(), ...asked1 } as OperatorRequest))?.result, 'failed');
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
    'restart',
    'commit: begin restart',
  ]);
});

test('a restart is refused where there is no server of ours; a new copy is made whatever the data is like', () => {
  const engine = { kind: 'refused', problem: 'Its control file is damaged.', data: 'damaged' } as const;
  assert.equal(outcomeOf(decideOn({ engine, store: { request: restart() } }))?.result, 'refused');
  assert.deepEqual(kindsOf(decideOn({ engine, store: { request: reinit() } })), ['clone', 'commit: close request']);
  const { data: _, ...foreign } = engine;
  assert.equal(outcomeOf(decideOn({ engine: foreign, store: { request: reinit() } }))?.result, 'refused', 'of others');
  assert.equal(outcomeOf(decideOn({ engine: absent, store: { request: restart() } }))?.result, 'refused');
  assert.deepEqual(kindsOf(decideOn({ engine: absent, store: { request: reinit() } })), [
    'clone',
    'commit: close request',
  ]);
});
