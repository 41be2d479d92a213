// Goal: an agent that is told to end hands over what it leads, within bounds, and takes nothing on any more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EngineJob, type Memory, ms, type Seal } from '../src/index.ts';
import {
  codeOf,
  commitOf,
  cut,
  decideOn,
  fresh,
  kindsOf,
  NOW,
  n1,
  n2,
  n3,
  type ObservationChange,
  primary,
  recordIn,
  replica,
  seal,
  silent,
  stale,
  stopped,
} from './support/build.ts';
import { at } from './support/positions.ts';

type Leaving = NonNullable<Memory['leaving']>['step'];

/** n1, the leader, told to end. */
const leaving = (change: ObservationChange = {}, step: Leaving | null = null, forMs = 0) =>
  decideOn(
    { self: n1, leaving: 'yes', ...change },
    { leaving: step === null ? null : { since: ms(NOW - forMs), step } },
  );
const job = (kind: EngineJob['kind']): EngineJob => ({ kind, sinceMs: 10, progress: null });
const END = at(5, 4600);

test('a leader checkpoints, stops so that the replicas get everything, publishes its end as planned, and has left', () => {
  const first = leaving();
  assert.deepEqual([codeOf(first), ...kindsOf(first)], ['leaving', 'checkpoint']);
  assert.deepEqual(first.memory.leaving, { since: NOW, step: 'checkpoint' });
  const during = leaving({ job: job('checkpoint') }, 'checkpoint', 100);
  assert.deepEqual([codeOf(during), ...kindsOf(during)], ['leaving']);
  const stop = leaving({}, 'checkpoint', 100);
  assert.deepEqual(stop.commands, [{ kind: 'stop', mode: 'handover' }]);
  const stopping = leaving(
    { job: job('stop'), engine: { kind: 'unresponsive', was: 'primary', sinceMs: 5000 } },
    'stop',
  );
  assert.deepEqual([codeOf(stopping), ...kindsOf(stopping)], ['leaving']);
  const end = leaving({ engine: stopped('clean', END) }, 'stop');
  assert.deepEqual([codeOf(end), ...kindsOf(end)], ['handed-over', 'commit: publish seal']);
  assert.equal((commitOf(end).put[0]?.value as Seal | undefined)?.planned, 'yes');
  const over = leaving(
    { engine: stopped('clean', END), store: { seals: { n1: seal(END, { planned: 'yes' }) } } },
    'stop',
  );
  assert.deepEqual([codeOf(over), ...kindsOf(over)], ['left']);
});

test('a checkpoint that takes long does not hold it up, nor does a stop that does not end', () => {
  assert.deepEqual(leaving({ job: job('checkpoint') }, 'checkpoint', 5000).commands, [
    { kind: 'stop', mode: 'handover' },
  ]);
  assert.deepEqual(leaving({}, 'stop', 10_000).commands, [{ kind: 'stop', mode: 'fence' }]);
});

test('without anybody to take over it stops in order and publishes its end all the same', () => {
  for (const peers of [
    { n2: silent(5000), n3: silent(5000) },
    { n2: fresh(n2, replica(), { leaving: 'yes' }), n3: fresh(n3, replica(), { leaving: 'yes' }) },
  ]) {
    assert.deepEqual(leaving({ peers }).commands, [{ kind: 'stop', mode: 'orderly' }]);
    assert.equal(codeOf(leaving({ peers, engine: stopped('clean', END) }, 'stop')), 'handed-over');
  }
});

test('a store that does not answer is waited for, for a moment', () => {
  assert.deepEqual(leaving({ store: stale() }).commands, [{ kind: 'stop', mode: 'orderly' }]);
  const down = { store: stale(), engine: stopped('clean', END) };
  const first = leaving(down, 'stop', 9000);
  assert.deepEqual([codeOf(first), first.memory.leaving], ['leaving', { since: NOW, step: 'stopped' }]);
  assert.equal(codeOf(leaving(down, 'stopped', 1000)), 'leaving');
  assert.equal(codeOf(leaving(down, 'stopped', 1500)), 'left');
});

test('an end that is not known, or not of this leadership, is not published', () => {
  assert.equal(codeOf(leaving({ engine: stopped('crashed') }, 'stop')), 'left');
  assert.equal(codeOf(leaving({ engine: stopped('clean', at(4, 3000)) }, 'stop')), 'left');
});

test('in a paused cluster, and on a member that does not lead, nothing is handed over and nothing is begun', () => {
  assert.deepEqual(
    [codeOf(leaving({ store: { paused: true } })), kindsOf(leaving({ store: { paused: true } }))],
    ['left', []],
  );
  const seals = { n1: seal(at(5, 4500), { planned: 'yes' }) };
  const replicaLeaves = decideOn({ self: n2, leaving: 'yes', engine: cut(), store: { seals } });
  assert.deepEqual([codeOf(replicaLeaves), kindsOf(replicaLeaves)], ['left', []]);
});

test('a primary that must not be one is fenced, also while its agent ends', () => {
  assert.equal(codeOf(leaving({ store: { record: { leader: n2 } } })), 'fenced-superseded');
});

test('the others wait a moment for the end of a leader that was told to end, then lead with the cause "planned-stop"', () => {
  const peers = { n1: fresh(n1, stopped('clean', END), { leaving: 'yes' }), n3: fresh(n3, replica({ position: END })) };
  const engine = replica({ position: END });
  assert.equal(decideOn({ peers, engine }).suspects, null);
  const late = { leaderNotOpenSince: { epoch: seal(END).epoch, since: ms(NOW - 1000) } };
  assert.notEqual(decideOn({ peers, engine }, late).suspects, null);
  const store = { seals: { n1: seal(END, { planned: 'yes' }) } };
  assert.equal(recordIn(decideOn({ peers, engine, store })).cause, 'planned-stop');
});

test('who is leaving is nobody to wait for, and not counted on', () => {
  const peers = {
    n1: fresh(n1, primary()),
    n2: fresh(n2, replica({ position: END }), { leaving: 'yes' }),
  };
  const store = { seals: { n1: seal(END, { planned: 'yes' }) }, config: { whenShort: 'degrade' as const } };
  const elected = recordIn(decideOn({ self: n3, peers, engine: replica({ position: END }), store }));
  assert.deepEqual([elected.leader, elected.rule.members], [n3, []]);
});
