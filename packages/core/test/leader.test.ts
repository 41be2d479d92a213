import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, type LeadershipRecord, ms, type OperatorRequest, systemId } from '../src/index.ts';
import {
  absent,
  any,
  codeOf,
  commandOf,
  commitOf,
  cut,
  decideOn,
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
  process1,
  RECORD_REVISION,
  recordIn,
  replica,
  seal,
  silent,
  stale,
  starting,
  stopped,
} from './support/build.ts';
import { at } from './support/positions.ts';

const led = (change: ObservationChange = {}, memory = {}) => decideOn({ self: n1, ...change }, memory);

// Fencing: a primary that must not be one is stopped at once.

test('a primary is fenced when the record names another leader, whatever the state of the store and of the cluster', () => {
  for (const store of [{}, { paused: true }, stale({ record: {} })]) {
    const decision = decideOn({ self: n2, engine: primary(), store });
    assert.equal(codeOf(decision), 'fenced-superseded');
    assert.deepEqual(decision.commands, [{ kind: 'stop', mode: 'fence' }]);
    assert.deepEqual(decision.authority, { kind: 'none' });
  }
});

test('a hung server that was a primary is fenced at once when another node leads', () => {
  const engine = { kind: 'unresponsive', was: 'primary', sinceMs: 10 } as const;
  assert.equal(codeOf(decideOn({ self: n2, engine })), 'fenced-superseded');
});

test('a leader that has given up its epoch is fenced', () => {
  const decision = led({ store: { seals: { [n1]: seal(at(5, 4500)) } } });
  assert.equal(codeOf(decision), 'fenced-sealed');
  assert.deepEqual(kindsOf(decision), ['stop']);
});

test('a primary on another timeline than the record says is fenced', () => {
  assert.equal(codeOf(led({ engine: primary({ position: at(4, 3900) }) })), 'fenced-wrong-lineage');
});

test('a server that lives and refuses its agent is no hung one', () => {
  const refusal = 'database "postgres" is not currently accepting connections (55000)';
  const engine = { kind: 'unresponsive', was: 'primary', sinceMs: 60_000, refusal } as const;
  const decision = led({ engine });
  assert.equal(codeOf(decision), 'server-closed');
  assert.deepEqual(decision.commands, []);
});

test('a server that refuses its agent is fenced when another node leads: it may be what it was', () => {
  const engine = { kind: 'unresponsive', was: 'unknown', sinceMs: 9000, refusal: 'closed' } as const;
  assert.equal(codeOf(led({ engine, store: { record: { leader: n2 } } })), 'fenced-superseded');
});

test('a failed promotion of an earlier epoch does not end the next one', () => {
  const early = { promotingSince: { epoch: EPOCH_5, since: ms(NOW - 50) } };
  const failure = { command: 'promote', agoMs: 9000, code: 'ENGINE_PROMOTE_FAILED', message: 'no' };
  assert.equal(codeOf(led({ ...promoting, failures: [failure] }, early)), 'promoting');
  const own = { ...failure, agoMs: 10 };
  assert.equal(codeOf(led({ ...promoting, failures: [own] }, early)), 'promotion-abandoned');
});

test('a leader that was stopped to hand over comes back in a pause when the request has gone', () => {
  const down = { engine: stopped('crashed'), store: { paused: true } };
  assert.equal(codeOf(led(down)), 'paused');
  const stoppedForLong = { downSince: ms(NOW - 60_000), handingOver: EPOCH_5 };
  assert.equal(codeOf(led(down, stoppedForLong)), 'restart-fenced');
});

test('the hung server of a leader is fenced after three seconds, not before', () => {
  assert.deepEqual(led({ engine: { kind: 'unresponsive', was: 'primary', sinceMs: 2999 } }).commands, []);
  const decision = led({ engine: { kind: 'unresponsive', was: 'primary', sinceMs: 3000 } });
  assert.equal(codeOf(decision), 'fenced-hung');
});

test('a server that is stopping in order, or in a paused cluster, is not taken for a hung one', () => {
  const engine = { kind: 'unresponsive', was: 'primary', sinceMs: 9000 } as const;
  assert.deepEqual(led({ engine, job: { kind: 'stop', sinceMs: 9000, progress: null } }).commands, []);
  assert.deepEqual(led({ engine, store: { paused: true } }).commands, []);
});

test('data of another cluster is left alone, also a running primary', () => {
  const decision = led({ engine: primary({ systemId: systemId('1') }) });
  assert.equal(codeOf(decision), 'foreign-data');
  assert.deepEqual(decision.commands, []);
});

// Leading.

test('an open leader with everything in order does nothing, and says so', () => {
  const decision = led();
  assert.equal(codeOf(decision), 'leading');
  assert.deepEqual(decision.commands, []);
});

test('a new agent process adopts the running primary: by compare-and-swap, without touching the server', () => {
  const decision = led({ store: { record: { incarnation: process1(n3) } } });
  assert.equal(codeOf(decision), 'adopted');
  assert.deepEqual(kindsOf(decision), ['commit: adopt running primary', 'provision']);
  assert.equal(recordIn(decision).incarnation, process1(n1));
  assert.equal(recordIn(decision).epoch, EPOCH_5);
  assert.ok(commitOf(decision).expect.some(({ key, is }) => key === 'record' && is === RECORD_REVISION));
});

const CHOSEN: Partial<LeadershipRecord> = { phase: 'promoting', opened: null };

test('the record says open only once the server is, with the history that it writes', () => {
  const decision = led({ store: { record: CHOSEN } });
  assert.equal(codeOf(decision), 'opened');
  assert.equal(recordIn(decision).phase, 'open');
  assert.deepEqual(recordIn(decision).opened, at(5, 4500));
  const history = commitOf(decision).put.find((put) => put.key === `history/${EPOCH_5}`);
  assert.deepEqual(history?.value, {
    epoch: EPOCH_5,
    leader: n1,
    timeline: 5,
    cause: 'leader-lost',
    chosenAt: at(4, 4000),
    wallMs: 1_700_000_000_000,
  });
});

// Authority: until when the server may go on if its agent says nothing more.

test('authority comes from the lease, or from enough ackers heard, whichever lasts longer', () => {
  const silences = (b: number, c: number) =>
    primary({
      replicas: [
        { member: n2, kind: 'streaming', confirmed: at(5, 4500), silentMs: b },
        { member: n3, kind: 'streaming', confirmed: at(5, 4500), silentMs: c },
      ],
    });
  const until = (change: ObservationChange): number | null => {
    const { authority } = led(change);
    return authority.kind === 'primary' ? authority.until - NOW : null;
  };
  const noLease = { authority: { leaseUntil: null } };
  assert.equal(until({ engine: silences(50, 5000) }), 5950, 'one acker heard 50 ms ago, ttl 6000');
  assert.equal(until({ engine: silences(50, 5000), ...noLease }), 5950);
  assert.equal(until({ engine: silences(5000, 4000) }), 5000, 'the lease lasts longer');
  const two = { store: { record: { rule: any(2, n2, n3) } } };
  assert.equal(until({ engine: silences(50, 5000), ...noLease, ...two }), 1000, 'the second of two is 5 s old');
  assert.equal(until({ engine: primary({ replicas: [] }), ...noLease }), null);
});

test('what ackers have shown counts for a while after they have gone, in the same epoch and rule', () => {
  const heard = led({ authority: { leaseUntil: null } });
  assert.deepEqual(heard.memory.ackEvidence, { epoch: EPOCH_5, rule: any(1, n2, n3), at: ms(NOW) });
  const gone = { engine: primary({ replicas: [] }), authority: { leaseUntil: null } };
  const after = led({ ...gone, store: stale({}) }, heard.memory);
  assert.deepEqual(after.authority, { kind: 'primary', until: NOW + 3000 }, 'half of the time');
  assert.notEqual(codeOf(after), 'fenced-authority');
  for (const record of [{ epoch: epoch(6) }, { rule: any(2, n2, n3) }]) {
    assert.deepEqual(led({ ...gone, store: { record } }, heard.memory).authority, { kind: 'none' });
  }
});

test('while the ack rule changes, evidence is what keeps an election of that moment from succeeding', () => {
  const engine = primary({
    replicas: [
      { member: n2, kind: 'streaming', confirmed: at(5, 4500), silentMs: 3000 },
      { member: n3, kind: 'streaming', confirmed: at(5, 4500), silentMs: 10 },
    ],
  });
  const until = (record: Partial<LeadershipRecord>) =>
    led({ engine, store: { record }, authority: { leaseUntil: null } }).authority;
  const oneOfBoth = until({ rule: any(1, n2), nextRule: any(1, n3) });
  assert.deepEqual(oneOfBoth, { kind: 'primary', until: NOW + 5990 });
  const twoOfBoth = until({ rule: any(2, n2, n3), nextRule: any(2, n2, n3) });
  assert.deepEqual(twoOfBoth, { kind: 'primary', until: NOW + 3000 });
  assert.deepEqual(until({ rule: any(2, n2, n3), nextRule: any(0) }), { kind: 'primary', until: NOW + 6000 });
});

test('a leader recorded as acknowledging alone has authority as long as its agent lives', () => {
  const { authority } = led({
    engine: primary({ replicas: [], acks: { running: any(0), barrier: null } }),
    store: { record: { rule: any(0) } },
    authority: { leaseUntil: null },
  });
  assert.deepEqual(authority, { kind: 'primary', until: NOW + 6000 });
});

test('in async only the lease gives authority', () => {
  const store = { record: { durability: 'async', rule: any(0) }, config: { durability: 'async' } } as const;
  assert.deepEqual(led({ store }).authority, { kind: 'primary', until: NOW + 5000 });
  const decision = led({ store, authority: { leaseUntil: null } });
  assert.deepEqual(decision.authority, { kind: 'none' });
  assert.equal(codeOf(decision), 'fenced-authority');
});

test('a primary whose lease and evidence have run out is stopped', () => {
  const decision = led({
    engine: primary({ replicas: [] }),
    authority: { leaseUntil: ms(NOW - 1) },
    store: stale({}),
  });
  assert.equal(codeOf(decision), 'fenced-authority');
});

// The store does not answer.

test('without the store a leader goes on as long as its ackers confirm, and changes nothing', () => {
  const engine = primary({ acks: { running: any(1, n2), barrier: null } });
  const decision = led({ store: stale({}), engine, authority: { leaseUntil: null } });
  assert.equal(codeOf(decision), 'leading-without-store');
  assert.deepEqual(decision.commands, []);
  assert.deepEqual(decision.authority, { kind: 'primary', until: NOW + 6000 });
});

// The leader's server is down.

test('a fallen leader leaves the others the first move, then starts its server read-only', () => {
  const fallen = (downSince: number) => led({ engine: stopped('crashed') }, { downSince: ms(downSince) });
  assert.equal(codeOf(fallen(NOW - 100)), 'first-move');
  assert.deepEqual(kindsOf(fallen(NOW - 500)), ['start']);
});

test('a fallen leader does not wait for others who can not elect', () => {
  const engine = stopped('crashed');
  const decision = led({ engine, peers: { [n3]: silent(3000) } }, { downSince: ms(NOW) });
  assert.deepEqual(kindsOf(decision), ['start']);
});

test('after an orderly stop the leader publishes the end of its log as the proof for the next', () => {
  const decision = led({ engine: stopped('clean', at(5, 4600)) });
  assert.equal(codeOf(decision), 'handed-over');
  assert.deepEqual(commitOf(decision).put, [
    { key: 'seals/n1', value: { epoch: EPOCH_5, incarnation: process1(n1), position: at(5, 4600) } },
  ]);
});

test('an orderly end that lies before its own leadership proves nothing', () => {
  const decision = led({ engine: stopped('clean', at(4, 3900)) }, { downSince: ms(NOW - 5000) });
  assert.deepEqual(kindsOf(decision), ['start']);
});

test('the leader, restarted read-only, gives up its epoch with everything it holds before anybody is elected', () => {
  const decision = led({ engine: cut(at(5, 4600)) });
  assert.equal(codeOf(decision), 'leader-sealed');
  const [put] = commitOf(decision).put;
  assert.deepEqual(put, {
    key: 'seals/n1',
    value: { epoch: EPOCH_5, incarnation: process1(n1), position: at(5, 4600) },
  });
});

test('the recorded leader follows nobody: whatever connected it is cut', () => {
  assert.deepEqual(kindsOf(led({ engine: replica({ upstream: n2 }) })), ['seal']);
});

test('a leader whose data was put back from an older copy is no proof of anything', () => {
  const decision = led({ engine: cut(at(5, 4050)) });
  assert.equal(codeOf(decision), 'leader-data-regressed');
  assert.deepEqual(decision.commands, []);
});

test('a leader whose data is gone waits for the others', () => {
  for (const engine of [absent, incomplete]) {
    assert.equal(codeOf(led({ engine })), 'leader-data-lost');
    assert.deepEqual(led({ engine }).commands, []);
  }
});

test('a busy, starting or log-reading server is left alone', () => {
  assert.equal(codeOf(led({ engine: stopped('crashed'), job: { kind: 'start', sinceMs: 5, progress: null } })), 'busy');
  assert.equal(codeOf(led({ engine: starting })), 'starting');
  assert.equal(codeOf(led({ engine: cut(null) })), 'reading-log');
});

test('a sealed leader leads again only under a new epoch, on a new timeline', () => {
  const decision = led({
    engine: cut(at(5, 4600)),
    store: { seals: { [n1]: seal(at(5, 4600)) } },
    peers: { [n2]: silent(5000), [n3]: silent(5000) },
  });
  assert.equal(codeOf(decision), 'elected');
  assert.equal(recordIn(decision).epoch, epoch(6));
  assert.equal(recordIn(decision).timeline, 6);
  assert.deepEqual(recordIn(decision).chosenAt, at(5, 4600));
  assert.deepEqual(kindsOf(decision), ['commit: take leadership', 'promote']);
});

// Chosen, but not open yet.

const promoting = { store: { record: CHOSEN }, engine: cut(at(4, 4000)) };

test('a promotion is asked for again until the server opens', () => {
  const decision = led(promoting);
  const { epoch: forEpoch, timeline, rule, notAfter } = commandOf(decision, 'promote');
  assert.deepEqual([forEpoch, timeline, rule], [EPOCH_5, 5, any(1, n2, n3)]);
  assert.equal(notAfter, NOW + 3000);
});

test('a new agent goes on with a promotion that may be under way; it does not seal beside it', () => {
  const decision = led({ ...promoting, store: { record: { ...CHOSEN, incarnation: process1(n3) } } });
  assert.equal(codeOf(decision), 'adopted');
  assert.deepEqual(kindsOf(decision), ['commit: adopt promotion', 'promote']);
  assert.equal(recordIn(decision).incarnation, process1(n1));
});

const failed = (code: string) => ({ failures: [{ command: 'promote', agoMs: 100, code, message: 'no' }] });

test('nothing is opened by an agent that does not hold its session', () => {
  const decision = led({ ...promoting, store: { record: CHOSEN, sessions: [n2, n3] } });
  assert.equal(codeOf(decision), 'session-missing');
  assert.deepEqual(decision.commands, []);
});

test('an order to open that came too late is given again', () => {
  assert.deepEqual(kindsOf(led({ ...promoting, ...failed('ENGINE_DECISION_STALE') })), ['promote']);
});

test('a promotion that failed is given up only with the server stopped: it could open beside the seal otherwise', () => {
  const first = led({ ...promoting, ...failed('ENGINE_PROMOTE_FAILED') });
  assert.equal(codeOf(first), 'promotion-abandoned');
  assert.deepEqual(first.commands, [{ kind: 'stop', mode: 'fence' }]);
  const down = led({ ...promoting, engine: stopped('crashed'), ...failed('ENGINE_PROMOTE_FAILED') }, first.memory);
  assert.equal(down.memory.promotionEnded, EPOCH_5);
  const up = led({ ...promoting, ...failed('ENGINE_PROMOTE_FAILED') }, down.memory);
  assert.equal(codeOf(up), 'leader-sealed');
});

test('a server that has opened on the timeline of its epoch never opens on it again', () => {
  const opened = { ...promoting, engine: cut(at(5, 4300)) };
  assert.deepEqual(kindsOf(led(opened)), ['stop']);
  assert.equal(codeOf(led(opened, { promotionEnded: EPOCH_5 })), 'leader-sealed');
});

test('a promotion that failed stays given up when the server needs longer than failures are kept (B8)', () => {
  const first = led({ ...promoting, ...failed('ENGINE_PROMOTE_FAILED') });
  const down = led({ ...promoting, engine: stopped('crashed') }, first.memory);
  const starting = led({ ...promoting, engine: { kind: 'starting', sinceMs: 60_000 } }, down.memory);
  assert.equal(codeOf(led(promoting, starting.memory)), 'leader-sealed', 'not promoted once more');
  const next = { ...CHOSEN, epoch: epoch(6) };
  assert.equal(
    codeOf(led({ ...promoting, store: { record: next } }, starting.memory)),
    'promoting',
    'another epoch is another order',
  );
});

test('asking for a promotion forgets that an earlier one had ended', () => {
  assert.equal(led(promoting, { promotionEnded: EPOCH_5 }).memory.promotionEnded, null);
});

test('whoever may still be sealed by a write under way does not open', () => {
  const decision = led(promoting, { sealAttempt: { epoch: EPOCH_5, basis: 'absent' }, promotionEnded: EPOCH_5 });
  assert.equal(codeOf(decision), 'leader-sealed');
});

test('a chosen leader that lacks what it was chosen for does not open', () => {
  const decision = led({ ...promoting, engine: cut(at(4, 3900)) });
  assert.equal(codeOf(decision), 'leader-data-regressed');
});

// Paused.

test('in a paused cluster a fallen leader is left as it is, unless an operator asks for something', () => {
  const paused = { paused: true };
  assert.equal(codeOf(led({ engine: stopped('crashed'), store: paused })), 'paused');
  assert.equal(codeOf(led({ engine: stopped('clean', at(5, 4600)), store: paused })), 'paused');
  assert.equal(codeOf(led({ engine: cut(), store: paused })), 'paused');
  const request: OperatorRequest = {
    kind: 'switchover',
    id: 'r1',
    from: n1,
    to: n2,
    notBeforeWallMs: null,
    timeoutMs: 10_000,
  };
  assert.equal(codeOf(led({ engine: stopped('clean', at(5, 4600)), store: { ...paused, request } })), 'handed-over');
});

test('a request that is none for a new leader does not end the pause', () => {
  const requests: readonly OperatorRequest[] = [
    { kind: 'reinit', id: 'r1', member: n3 },
    { kind: 'restart', id: 'r1', member: n3 },
    { kind: 'switchover', id: 'r1', from: n1, to: n2, notBeforeWallMs: 1_800_000_000_000, timeoutMs: 10_000 },
  ];
  for (const request of requests) {
    const store = { paused: true, request };
    assert.equal(codeOf(led({ engine: stopped('crashed'), store })), 'paused', request.kind);
    assert.equal(codeOf(led({ engine: cut(), store })), 'paused', request.kind);
    const dead = decideOn({
      engine: cut(),
      store,
      peers: { [n1]: silent(5000), [n3]: fresh(n3, cut(), { suspects: EPOCH_5 }) },
    });
    assert.deepEqual(
      dead.commands.filter((command) => command.kind === 'commit'),
      [],
      request.kind,
    );
  }
});

test('a single node leads alone, falls, and comes back under a new epoch', () => {
  const store = { members: [n1], record: { rule: any(0) } };
  assert.deepEqual(kindsOf(led({ store, engine: stopped('crashed') }, { downSince: ms(NOW) })), ['start']);
  assert.equal(codeOf(led({ store, engine: cut() })), 'leader-sealed');
  const decision = led({ store: { ...store, seals: { [n1]: seal(at(5, 4500)) } }, engine: cut() });
  assert.equal(codeOf(decision), 'elected');
  assert.deepEqual(recordIn(decision).rule, any(0));
});

test('a primary that no agent opened is fenced, whoever leads by the record', () => {
  for (const self of [n1, n2]) {
    const decision = decideOn({ self, engine: primary({ opened: 'outside' }) });
    assert.equal(codeOf(decision), 'fenced-opened-outside');
    assert.deepEqual(kindsOf(decision), ['stop']);
  }
});
