import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ClusterIdentity,
  type EngineState,
  epoch,
  type MemberId,
  revision,
  type StoreContent,
} from '../src/index.ts';
import {
  absent,
  any,
  codeOf,
  commandOf,
  commitOf,
  cut,
  decideOn,
  fresh,
  incomplete,
  kindsOf,
  n1,
  n2,
  n3,
  type ObservationChange,
  primary,
  process1,
  recordIn,
  replica,
  SYSTEM,
  stale,
  starting,
  stopped,
  tags,
  versioned,
} from './support/build.ts';
import { on } from './support/positions.ts';

const claimed = (by: MemberId, change: Partial<ClusterIdentity> = {}): StoreContent['identity'] =>
  versioned({ state: 'claimed', by, incarnation: process1(by), systemId: null, engine: 'postgres', ...change });

/** Nothing is led yet; peers are empty. */
function boot(engine: EngineState, change: ObservationChange & { readonly identity?: StoreContent['identity'] } = {}) {
  const { identity = null, ...rest } = change;
  return decideOn({
    self: n1,
    engine,
    peers: { [n2]: fresh(n2, absent), [n3]: fresh(n3, absent) },
    store: { record: null, identity },
    ...rest,
  });
}

test('an empty cluster: an empty node claims the right to initialise it', () => {
  for (const engine of [absent, incomplete]) {
    const decision = boot(engine);
    assert.deepEqual(kindsOf(decision), ['commit: claim bootstrap']);
    assert.deepEqual(commitOf(decision).expect, [
      { key: 'identity', is: 'absent' },
      { key: 'record', is: 'absent' },
    ]);
    assert.deepEqual(commitOf(decision).put, [
      {
        key: 'identity',
        value: { state: 'claimed', by: n1, incarnation: process1(n1), systemId: null, engine: 'postgres' },
      },
    ]);
  }
});

test('an emptied store founds nothing: a node with data, here or elsewhere, is not overruled by an empty one', () => {
  for (const engine of [stopped('clean'), cut(), primary(), starting]) {
    assert.equal(codeOf(boot(engine)), 'store-empty');
    assert.deepEqual(boot(engine).commands, []);
  }
  const elsewhere = boot(absent, { peers: { [n2]: fresh(n2, stopped('clean')) } });
  assert.equal(codeOf(elsewhere), 'store-empty');
  assert.match(elsewhere.reasons[0]?.text ?? '', /n2 has data/);
});

test('a member tagged nofailover initialises nothing', () => {
  assert.deepEqual(boot(absent, { tags: tags({ nofailover: true }) }).commands, []);
  assert.deepEqual(
    boot(absent, {
      tags: tags({ nofailover: true }),
      identity: claimed(n2),
      store: { record: null, identity: claimed(n2), sessions: [n1] },
    }).commands,
    [],
  );
});

test('a claim is carried out step by step, each of which can be repeated after a crash', () => {
  const identity = claimed(n1);
  const step = (engine: EngineState) => kindsOf(boot(engine, { identity, store: { record: null, identity } }));
  assert.deepEqual(step(absent), ['initialize']);
  assert.deepEqual(step(incomplete), ['initialize']);
  assert.deepEqual(step(stopped('clean')), ['start']);
  assert.deepEqual(step(stopped('crashed')), ['start']);
  assert.deepEqual(step(starting), []);
  assert.deepEqual(step(cut(null)), []);
  assert.deepEqual(step(cut(on(1, 500))), ['commit: found cluster', 'promote']);
});

test('founding writes the system identifier and the first leadership together, and promotes on a line of its own', () => {
  const identity = claimed(n1, { incarnation: process1(n3) });
  const decision = boot(cut(on(1, 500)), { store: { record: null, identity } });
  assert.deepEqual(commitOf(decision).expect, [
    { key: 'identity', is: revision(10) },
    { key: 'record', is: 'absent' },
  ]);
  assert.deepEqual(recordIn(decision), {
    epoch: epoch(1),
    leader: n1,
    incarnation: process1(n1),
    phase: 'promoting',
    timeline: 2,
    rule: any(0),
    nextRule: null,
    chosenAt: null,
    opened: null,
    durability: 'sync',
    cause: 'bootstrap',
  });
  const [put] = commitOf(decision).put;
  assert.deepEqual(put, {
    key: 'identity',
    value: { state: 'founded', by: n1, incarnation: process1(n1), systemId: SYSTEM, engine: 'postgres' },
  });
  assert.equal(commandOf(decision, 'promote').timeline, 2);
});

test('a new agent goes on with its predecessor’s first promotion', () => {
  const record = {
    epoch: epoch(1),
    timeline: 2,
    phase: 'promoting',
    chosenAt: null,
    opened: null,
    rule: any(0),
    incarnation: process1(n3),
  } as const;
  const decision = decideOn({ self: n1, engine: cut(on(1, 500)), store: { record } });
  assert.deepEqual(kindsOf(decision), ['commit: adopt promotion', 'promote']);
});

test('the others wait while the claimer is there', () => {
  const identity = claimed(n2);
  const waiting = boot(absent, { store: { record: null, identity } });
  assert.equal(codeOf(waiting), 'bootstrap-elsewhere');
  assert.deepEqual(waiting.commands, []);
});

test('a claimer that has gone is succeeded by an empty node, on condition that nothing was founded meanwhile', () => {
  const identity = claimed(n2);
  const store = { record: null, identity, sessions: [n1, n3] };
  const decision = boot(absent, { store });
  assert.deepEqual(kindsOf(decision), ['commit: take over bootstrap']);
  assert.deepEqual(commitOf(decision).expect, [
    { key: 'identity', is: revision(10) },
    { key: 'record', is: 'absent' },
  ]);
  assert.deepEqual(boot(stopped('clean'), { store }).commands, []);
});

test('a founded cluster whose record is missing starts nothing for writes', () => {
  const identity = versioned<ClusterIdentity>({
    state: 'founded',
    by: n1,
    incarnation: process1(n1),
    systemId: SYSTEM,
    engine: 'postgres',
  });
  for (const engine of [absent, stopped('clean'), replica(), primary()]) {
    const decision = boot(engine, { store: { record: null, identity } });
    assert.equal(codeOf(decision), 'record-missing');
    assert.deepEqual(decision.commands, []);
    assert.deepEqual(decision.authority, { kind: 'none' });
  }
});

test('nothing is claimed on stale knowledge or while the server is busy', () => {
  assert.deepEqual(boot(absent, { store: stale({ record: null, identity: null }) }).commands, []);
  assert.deepEqual(boot(absent, { job: { kind: 'initialize', sinceMs: 1, progress: null } }).commands, []);
});

test('a server in a state that no bootstrap leads to is reported', () => {
  const identity = claimed(n1);
  assert.equal(codeOf(boot(primary(), { store: { record: null, identity } })), 'bootstrap-blocked');
});
