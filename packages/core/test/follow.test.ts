import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CommandFailure, type EngineState, KEEP_END, ms, type Receiver, systemId } from '../src/index.ts';
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
  replica,
  type StoreChange,
  seal,
  silent,
  stale,
  starting,
  stopped,
} from './support/build.ts';
import { at, on } from './support/positions.ts';

test('a streaming replica of the right leader does nothing', () => {
  assert.equal(codeOf(decideOn({})), 'following');
  assert.deepEqual(decideOn({}).commands, []);
});

test('a node boots fenced: whatever is stopped is started as a replica without upstream', () => {
  for (const engine of [stopped('clean', at(5, 4500)), stopped('crashed')]) {
    assert.deepEqual(kindsOf(decideOn({ engine })), ['start']);
  }
});

const startOf = (change: ObservationChange, memory = {}) =>
  decideOn({ engine: stopped('crashed'), ...change }, memory).commands[0];

const discard = { kind: 'start', end: { kind: 'discard', before: EPOCH_5 } };
const keep = { kind: 'start', end: KEEP_END };
const holding = { [n1]: fresh(n1, primary()), [n3]: fresh(n3, replica()) };

test('the end of a log that a server wrote before another leader may go once enough others hold what that one opened with', () => {
  for (const store of [{}, stale({ record: {} })] as const) {
    assert.deepEqual(startOf({ store, peers: holding }), discard);
  }
  const promoting = { record: { phase: 'promoting', opened: null } } as const;
  assert.deepEqual(startOf({ store: promoting, peers: holding }), keep, 'it has not opened');
  assert.deepEqual(startOf({ peers: { ...holding, [n3]: silent(5000) } }), keep, 'nobody else is known to hold it');
  const behind = fresh(n3, replica({ position: at(5, 4099) }));
  assert.deepEqual(startOf({ peers: { ...holding, [n3]: behind } }), keep, 'the acker is not there yet');
  const alone = { record: { rule: any(1, n2) } } as const;
  assert.deepEqual(startOf({ store: alone, peers: holding }), keep, 'this node is the only other one');
});

test('where a recovery has the choice, a fallen leader waits a moment for those who are about to hold it', () => {
  const behind = fresh(n3, replica({ position: at(5, 4099) }));
  const change = { engineName: 'mariadb', engine: stopped('crashed'), peers: { ...holding, [n3]: behind } } as const;
  assert.equal(codeOf(decideOn(change)), 'log-end-waits');
  assert.equal(codeOf(decideOn({ ...change, engineName: 'mysql' })), 'start-fenced');
  assert.equal(codeOf(decideOn({ ...change, peers: { ...holding, [n1]: silent(5000) } })), 'start-fenced');
  const longAgo = { stoppedSince: { epoch: EPOCH_5, since: ms(NOW - 5000) } };
  assert.equal(codeOf(decideOn(change, longAgo)), 'start-fenced');
});

test('nothing of a log goes while this node leads by the record, is being made the leader, or vouches for its end', () => {
  assert.deepEqual(startOf({ self: n1 }, { downSince: ms(0) }), keep);
  assert.deepEqual(
    startOf({ self: n1, store: { record: { phase: 'promoting', opened: null } } }, { downSince: ms(0) }),
    keep,
  );
  assert.deepEqual(startOf({ store: { seals: { [n2]: seal(at(5, 4500)) } } }), keep);
  assert.deepEqual(startOf({}, { sealAttempt: { epoch: EPOCH_5, basis: 'absent' } }), keep);
});

test('without ever having reached the store a node starts its server read-only and touches nothing that runs', () => {
  const blind = (engine: EngineState) => decideOn({ engine, store: { kind: 'never' } });
  assert.deepEqual(blind(stopped('crashed')).commands, [{ kind: 'start', end: KEEP_END }]);
  for (const engine of [primary(), replica(), absent, incomplete, starting]) {
    assert.deepEqual(blind(engine).commands, []);
    assert.equal(codeOf(blind(engine)), 'store-unreachable');
  }
  assert.deepEqual(
    decideOn({ engine: stopped('clean'), store: { kind: 'never' }, job: { kind: 'start', sinceMs: 1, progress: null } })
      .commands,
    [],
  );
});

// Where a copy stands: by history, never by numbers alone.

const tail = on(4, 4001, [1, 1000], [2, 2000], [3, 3000]);
const places: readonly (readonly [string, EngineState, readonly string[]])[] = [
  ['behind on the same line', cut(at(5, 4200)), ['follow']],
  ['further on the same line', cut(at(5, 4900)), ['follow']],
  ['before the fork', cut(at(4, 3900)), ['follow']],
  ['exactly at the fork', cut(at(4, 4000)), ['follow']],
  ['with a tail that nobody acknowledged', cut(tail), ['rewind']],
  ['promoted apart under the same number', cut(on(5, 4500, [1, 1000], [2, 2000], [3, 3000], [4, 3900])), ['rewind']],
  ['promoted apart under a higher number', cut(on(6, 4500, [1, 1000], [2, 2000], [3, 3000], [4, 4050])), ['rewind']],
  ['log not read to its end', cut(null), []],
];

for (const [name, engine, expected] of places) {
  test(`a copy ${name}: ${expected.join() || 'waits'}`, () => {
    assert.deepEqual(kindsOf(decideOn({ engine })), expected);
  });
}

test('the leader to follow comes with the epoch that made it one', () => {
  assert.deepEqual(decideOn({ engine: cut() }).commands, [{ kind: 'follow', upstream: n1, epoch: EPOCH_5 }]);
});

const promoting: StoreChange = { record: { phase: 'promoting', opened: null } };

test('a chosen leader that is not open yet is followed by those whose history it surely holds', () => {
  const peers = { [n1]: fresh(n1, cut(at(4, 4000))) };
  assert.deepEqual(kindsOf(decideOn({ engine: cut(at(4, 3900)), store: promoting, peers })), ['follow']);
  const beyond = decideOn({ engine: cut(tail), store: promoting, peers });
  assert.equal(codeOf(beyond), 'leader-not-open');
  assert.deepEqual(beyond.commands, []);
});

test('a diverged copy is cloned where rewinding is not to be had or has failed in this epoch', () => {
  assert.deepEqual(decideOn({ engine: cut(tail), canRewind: 'no' }).commands, [{ kind: 'clone', from: n1 }]);
  const failures: readonly CommandFailure[] = [
    { command: 'rewind', agoMs: 10, code: 'ENGINE_REWIND_FAILED', message: '' },
  ];
  const after = decideOn({ engine: cut(tail), failures });
  assert.deepEqual(kindsOf(after), ['clone']);
  assert.equal(after.memory.rewindFailed, EPOCH_5);
  assert.deepEqual(
    kindsOf(decideOn({ engine: cut(tail) }, after.memory)),
    ['clone'],
    'remembered when the failure is old',
  );
});

test('nothing is rewound or copied while the leader is not open, or not to be seen', () => {
  for (const change of [
    { store: promoting },
    { peers: { [n1]: silent(500) } },
    { peers: { [n1]: fresh(n1, { kind: 'unresponsive', was: 'primary', sinceMs: 10 } as const) } },
  ]) {
    for (const engine of [cut(tail), absent, incomplete]) {
      assert.deepEqual(decideOn({ engine, ...change }).commands, []);
    }
  }
});

test('nothing is moved, rewound or copied on stale knowledge', () => {
  for (const engine of [cut(), cut(tail), absent, incomplete, disconnected()]) {
    assert.deepEqual(decideOn({ engine, store: stale() }).commands, []);
  }
});

test('a missing or half-made copy is made anew from the open leader', () => {
  for (const engine of [absent, incomplete]) {
    assert.deepEqual(decideOn({ engine }).commands, [{ kind: 'clone', from: n1 }]);
  }
});

test('a copy that failed a moment ago is not tried again at once', () => {
  const failures: readonly CommandFailure[] = [
    { command: 'clone', agoMs: 10, code: 'ENGINE_CLONE_FAILED', message: '' },
  ];
  assert.equal(codeOf(decideOn({ engine: absent, failures })), 'copy-failed');
});

test('a node whose data is gone gives its seal back before it copies: the seal vouched for what it held', () => {
  const store = { seals: { [n2]: seal(at(5, 4500)) } };
  for (const engine of [absent, incomplete]) {
    assert.deepEqual(kindsOf(decideOn({ engine, store })), ['commit: withdraw seal']);
  }
});

const broken = (cause: Extract<Receiver, { kind: 'broken' }>['cause']): ObservationChange => ({
  engine: replica({ receiver: { kind: 'broken', cause } }),
});

test('a replica that cannot get its log any more is copied anew; other troubles pass by themselves', () => {
  assert.deepEqual(kindsOf(decideOn(broken('wal-removed'))), ['clone']);
  for (const cause of ['unknown', 'refused', 'slot', 'login'] as const) {
    assert.equal(codeOf(decideOn(broken(cause))), 'connecting');
    assert.deepEqual(decideOn(broken(cause)).commands, []);
  }
});

test('a refusal for the history, which the positions do not bear out, must last under the open leader before a copy is made', () => {
  const opening = decideOn({ ...broken('history'), store: promoting });
  assert.equal(opening.memory.refusedSince, null, 'a leader that is still opening refuses those who are further');
  const first = decideOn(broken('history'), opening.memory);
  assert.equal(codeOf(first), 'connecting');
  const later = (afterMs: number) => ({ ...broken('history'), now: ms(NOW + afterMs) });
  assert.equal(codeOf(decideOn(later(3999), first.memory)), 'connecting');
  assert.deepEqual(kindsOf(decideOn(later(4000), first.memory)), ['clone']);
  const between = decideOn({ engine: replica() }, first.memory);
  assert.equal(codeOf(decideOn(later(4000), between.memory)), 'connecting', 'it was served meanwhile');
});

test('a replica that cannot read what it received is copied anew, wherever it was in following, and waits for an open leader', () => {
  const detail = 'The relay log is damaged (error 13121).';
  const receiver = { kind: 'broken', cause: 'damaged', detail } as const;
  for (const engine of [replica({ receiver }), replica({ receiver, upstream: null, position: null })]) {
    const decision = decideOn({ engine });
    assert.deepEqual(kindsOf(decision), ['clone']);
    assert.ok(decision.reasons[0]?.text.startsWith(detail), decision.reasons[0]?.text);
    assert.equal(codeOf(decideOn({ engine, store: { config: { rejoin: 'manual' } } })), 'log-removed');
  }
});

test('the reason for a new copy is what the engine found, where it knows more than the cause', () => {
  const detail = 'Somebody wrote on this replica: n2:1 is on no other member.';
  const errant = decideOn({ engine: replica({ receiver: { kind: 'broken', cause: 'history', detail } }) });
  assert.deepEqual(kindsOf(errant), ['clone']);
  assert.ok(errant.reasons[0]?.text.startsWith(detail), errant.reasons[0]?.text);
});

test('where an operator wants to decide about copies, the node waits and names the command', () => {
  const store: StoreChange = { config: { rejoin: 'manual' } };
  const diverged = decideOn({ engine: cut(tail), store });
  assert.equal(codeOf(diverged), 'diverged');
  assert.match(diverged.reasons[0]?.text ?? '', /understudy reinit n2/);
  assert.equal(codeOf(decideOn({ ...broken('wal-removed'), store })), 'log-removed');
  assert.deepEqual(diverged.commands, []);
});

test('a paused cluster: replicas go on following, nothing is started, rewound or copied', () => {
  const store = { paused: true };
  assert.deepEqual(kindsOf(decideOn({ engine: cut(), store })), ['follow']);
  for (const engine of [stopped('crashed'), cut(tail), absent, incomplete]) {
    assert.deepEqual(decideOn({ engine, store }).commands, []);
  }
});

test('a hung replica is restarted after ten seconds', () => {
  const hung = (sinceMs: number) => decideOn({ engine: { kind: 'unresponsive', was: 'replica', sinceMs } });
  assert.deepEqual(hung(9999).commands, []);
  assert.deepEqual(hung(10_000).commands, [{ kind: 'stop', mode: 'fence' }]);
  const refusing = { kind: 'unresponsive', was: 'replica', sinceMs: 60_000, refusal: 'no (42501)' } as const;
  assert.deepEqual(decideOn({ engine: refusing }).commands, [], 'one that answers no is alive');
});

test('a server that does not start is started seldom, and its last words are told', () => {
  const failed = (...agoMs: number[]) =>
    agoMs.map((ago) => ({ command: 'start', agoMs: ago, code: 'ENGINE_START_FAILED', message: 'no such library.' }));
  const engine = stopped('crashed');
  assert.deepEqual(kindsOf(decideOn({ engine, failures: failed(1000) })), ['start'], 'once may be chance');
  for (const failures of [failed(999), failed(1000, 500), failed(9000, 7999)]) {
    const decision = decideOn({ engine, failures });
    assert.equal(codeOf(decision), 'start-failed');
    assert.match(decision.reasons[0]?.text ?? '', /no such library/);
    assert.deepEqual(decision.commands, []);
  }
  assert.deepEqual(kindsOf(decideOn({ engine, failures: failed(9500, 8000) })), ['start']);
});

test('a server whose recovery waits for a restart gets it, as soon as the leader can do without it', () => {
  const parked = replica({ parked: 'max_connections is 100 here and was 300 on the primary' });
  const streams = (member: typeof n2) => ({ member, kind: 'streaming', confirmed: at(5, 4500), silentMs: 0 }) as const;
  const peers = (members: readonly (typeof n2)[], other: EngineState = replica()) => ({
    [n1]: fresh(n1, primary({ replicas: members.map(streams) })),
    [n3]: fresh(n3, other),
  });
  const needed = decideOn({ engine: parked, peers: peers([n2]) });
  assert.equal(codeOf(needed), 'parked');
  assert.deepEqual(needed.commands, []);
  assert.match(needed.reasons[0]?.text ?? '', /max_connections.*nobody else/);
  assert.deepEqual(kindsOf(decideOn({ engine: parked, peers: peers([n2, n3]) })), ['restart']);
  const both = peers([n2, n3], parked);
  assert.deepEqual(kindsOf(decideOn({ engine: parked, peers: both })), ['restart'], 'the first of two');
  const behind = { [n1]: fresh(n1, primary({ replicas: [n2, n3].map(streams) })), [n2]: fresh(n2, parked) };
  assert.deepEqual(decideOn({ self: n3, engine: parked, peers: behind }).commands, [], 'the second waits');
  const alone = { ...parked, receiver: { kind: 'broken', cause: 'unknown' } } as const;
  assert.deepEqual(
    kindsOf(decideOn({ engine: alone, peers: peers([]) })),
    ['restart'],
    'who streams nothing is not needed',
  );
});

test('data that is not ours is reported and left alone', () => {
  const refused = decideOn({ engine: { kind: 'refused', problem: 'It was made by PostgreSQL 9.6.' } });
  assert.equal(codeOf(refused), 'data-refused');
  assert.match(refused.reasons[0]?.text ?? '', /9\.6/);
  for (const engine of [cut(), stopped('crashed'), stopped('clean'), primary()]) {
    const foreign = decideOn({ engine: { ...engine, systemId: systemId('1') } });
    assert.equal(codeOf(foreign), 'foreign-data');
    assert.deepEqual(foreign.commands, []);
  }
});

test('data of a bootstrap that another member finished was never open: it makes way for a copy', () => {
  const first = at(1, 900);
  const foreign = { systemId: systemId('1'), position: first } as const;
  const seen = { ...cut(first), ...foreign };
  for (const engine of [{ ...stopped('clean', first), ...foreign }, seen]) {
    const decision = decideOn({ engine });
    assert.equal(codeOf(decision), 'copying');
    assert.deepEqual(kindsOf(decision), ['clone']);
  }
  for (const engine of [
    { ...stopped('crashed'), systemId: systemId('1') },
    { ...seen, position: at(2, 1500) },
  ]) {
    assert.equal(codeOf(decideOn({ engine })), 'foreign-data', 'whatever may have been written to is left alone');
  }
});

test('long work is left to end', () => {
  const job = { kind: 'clone', sinceMs: 1000, progress: null } as const;
  for (const engine of [absent, incomplete, stopped('clean'), cut(), cut(tail)]) {
    assert.equal(codeOf(decideOn({ engine, job })), 'busy');
  }
});

const held = 'More is kept than the budget allows: /d/data.aside-1.';

test('while too much is kept that may be the only copy, nothing is copied or rewound by itself', () => {
  const removed = { ...cut(at(4, 3900)), upstream: n1, receiver: { kind: 'broken', cause: 'wal-removed' } } as const;
  for (const engine of [cut(tail), removed]) {
    const decision = decideOn({ engine, copiesHeld: held });
    assert.equal(codeOf(decision), 'copy-held');
    assert.deepEqual(decision.commands, []);
    assert.match(decision.reasons[0]?.text ?? '', /data\.aside-1/);
    assert.notDeepEqual(decideOn({ engine }).commands, [], 'with room in the budget something is done');
  }
  for (const engine of [absent, incomplete]) {
    assert.deepEqual(
      kindsOf(decideOn({ engine, copiesHeld: held })),
      ['clone'],
      'nothing is moved aside by it that matters',
    );
  }
});

const failing = (times: number, cause: 'data' | 'unknown' = 'data') =>
  ({
    kind: 'stopped',
    shutdown: 'crashed',
    position: null,
    systemId: cut().systemId,
    startFailures: { times, cause, words: 'could not locate a valid checkpoint record' },
  }) as const;

test('a replica whose server does not start over its data is copied anew, after a few tries', () => {
  assert.deepEqual(kindsOf(decideOn({ engine: failing(2) })), ['start']);
  const decision = decideOn({ engine: failing(3) });
  assert.deepEqual(decision.commands, [{ kind: 'clone', from: n1 }]);
  assert.match(decision.reasons[0]?.text ?? '', /valid checkpoint record/);
  assert.deepEqual(kindsOf(decideOn({ engine: failing(9, 'unknown') })), ['start'], 'a copy would not start either');
  const { config } = { config: { rejoin: 'manual' } as const };
  assert.deepEqual(
    kindsOf(decideOn({ engine: failing(3), store: { config } })),
    ['start'],
    'an operator wants to look first',
  );
  assert.deepEqual(kindsOf(decideOn({ engine: failing(3), peers: { [n1]: silent(500) } })), ['start']);
});

test('data of this member that is damaged is replaced by a copy; what is not its own is never touched', () => {
  const damaged = { kind: 'refused', problem: 'global/pg_control is damaged.', data: 'damaged' } as const;
  assert.deepEqual(decideOn({ engine: damaged }).commands, [{ kind: 'clone', from: n1 }]);
  const { data: _, ...foreign } = damaged;
  assert.equal(codeOf(decideOn({ engine: foreign })), 'data-refused');
});
