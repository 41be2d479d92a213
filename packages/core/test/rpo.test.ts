import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ClusterConfig,
  DEFAULT_CONFIG,
  type EngineState,
  type LeadershipRecord,
  recoveryPoint,
} from '../src/index.ts';
import { any, confirmed, n1, n2, n3, primary, record, replica } from './support/build.ts';
import { at } from './support/positions.ts';

const point = (
  change: Partial<LeadershipRecord> = {},
  config: Partial<ClusterConfig> = {},
  engine: EngineState | null = primary(),
) => recoveryPoint(record(change), { ...DEFAULT_CONFIG, ...config }, new Map(engine === null ? [] : [[n1, engine]]));

test('sync with a proven rule loses nothing, also when nobody sees the leader', () => {
  assert.equal(point().kind, 'zero-proven');
  assert.equal(point({}, { synchronousCommit: 'remote_apply' }).kind, 'zero-proven');
  assert.equal(point({}, {}, null).kind, 'zero-proven');
  assert.match(point().why, /any 1 of \(n2, n3\)/);
});

test('zero under an assumption says which', () => {
  assert.match(point({ rule: any(0) }).why, /n1 acknowledges alone; .* as long as its disk survives/);
  assert.equal(point({ rule: any(0) }).kind, 'zero-assumed');
  assert.equal(point({ nextRule: any(0) }).kind, 'zero-assumed');
  const unproven = primary({ acks: { running: null, barrier: null } });
  assert.equal(point({}, {}, unproven).kind, 'zero-assumed');
  const other = primary({ acks: { running: any(1, n2), barrier: null } });
  assert.equal(point({}, {}, other).kind, 'zero-assumed', 'the server counts by another rule than recorded');
  assert.equal(point({ nextRule: any(1, n2) }, {}, other).kind, 'zero-proven', 'unless that is what it is changing to');
  assert.equal(point({}, { synchronousCommit: 'remote_write' }).kind, 'zero-assumed');
});

test('async and local are bounded by how far the nearest replica is behind', () => {
  const engine = primary({
    replicas: [confirmed(n2, { confirmed: at(5, 4300) }), confirmed(n3, { confirmed: at(5, 4400) })],
  });
  const lossOf = (found: ReturnType<typeof point>) => (found.kind === 'bounded' ? found.upToBytes : 'not bounded');
  assert.equal(lossOf(point({ durability: 'async', rule: any(0) }, {}, engine)), 100);
  assert.equal(lossOf(point({}, { synchronousCommit: 'local' }, engine)), 100);
  assert.match(point({}, { synchronousCommit: 'local' }, engine).why, /local/);
});

test('what cannot be bounded says so', () => {
  for (const engine of [null, primary({ replicas: [] })]) {
    const found = point({ durability: 'async', rule: any(0) }, {}, engine);
    assert.deepEqual([found.kind, found.kind === 'bounded' ? found.upToBytes : 0], ['bounded', null]);
  }
});

test('what a server says against the promise is named, whichever member it is', () => {
  const pointOf = (...engines: [typeof n1, EngineState][]) => recoveryPoint(record(), DEFAULT_CONFIG, new Map(engines));
  const assumed = { effect: 'assumed', text: 'fsync is off.' } as const;
  const loss = { effect: 'loss', text: 'synchronous_commit is off for role app.' } as const;
  const onReplica = pointOf([n1, primary()], [n2, replica({ voids: [assumed] })]);
  assert.deepEqual([onReplica.kind, onReplica.why], ['zero-assumed', 'n2: fsync is off.']);
  const onLeader = pointOf([n1, { ...primary(), voids: [assumed, loss] }], [n2, replica()]);
  assert.deepEqual([onLeader.kind, onLeader.why], ['bounded', 'n1: synchronous_commit is off for role app.']);
  assert.equal(pointOf([n1, primary()], [n2, replica({ voids: [] })]).kind, 'zero-proven');
});

test('a rule that the server cannot prove says why', () => {
  const acks = { running: null, barrier: null, unproven: 'A foreign replica can acknowledge here: host 10.9.9.9.' };
  const found = point({}, {}, primary({ acks }));
  assert.deepEqual([found.kind, found.why], ['zero-assumed', acks.unproven]);
});
