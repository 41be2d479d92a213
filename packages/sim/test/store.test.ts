/** The simulated store: transactions, leases, and answers that are lost after the work was done. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Commit, incarnation, memberId, revision } from '@understudy/core';
import { SimNet } from '../src/net/net.ts';
import { SimStore, type StoreAnswer } from '../src/store/sim-store.ts';
import { randomFor } from '../src/time/random.ts';
import { Scheduler } from '../src/time/scheduler.ts';

const n1 = memberId('n1');

function setUp() {
  const scheduler = new Scheduler();
  const net = new SimNet(2, { linkMs: 1, jitterMs: 0, spikeShare: 0, spikeMs: 0 }, randomFor(1, 'net'));
  const store = new SimStore(scheduler, net, randomFor(1, 'store'), 1, {
    onStoreChange: () => {},
    onSessionEnd: () => {},
  });
  const answers: StoreAnswer[] = [];
  const ask = (call: Parameters<SimStore['request']>[1]): void => {
    store.request(0, call, (answer) => answers.push(answer));
  };
  const runUntil = (time: number): void => {
    while (scheduler.step(time));
  };
  return { scheduler, net, store, answers, ask, runUntil };
}

const claim = (is: Commit['expect'][number]['is']): Commit => ({
  kind: 'commit',
  purpose: 'test',
  expect: [{ key: 'request', is }],
  put: [{ key: 'request', value: { kind: 'restart', id: 'r', member: n1 } }],
});

test('a transaction is applied when everything is as expected, and refused as a whole when not', () => {
  const { store, answers, ask, runUntil } = setUp();
  ask({ kind: 'transact', commit: claim('absent') });
  ask({ kind: 'transact', commit: claim('absent') });
  runUntil(100);
  assert.deepEqual(
    answers.map((answer) => answer.kind),
    ['committed', 'rejected'],
  );
  ask({ kind: 'transact', commit: claim(revision(store.registers.revision)) });
  runUntil(200);
  assert.equal(answers[2]?.kind, 'committed');
});

test('a lost answer leaves the work done', () => {
  const { net, store, answers, ask, runUntil } = setUp();
  net.shiftStore(0, 'from', 1);
  ask({ kind: 'transact', commit: claim('absent') });
  runUntil(100);
  assert.equal(answers.length, 0);
  assert.ok(store.content.request !== null);
});

test('a lost request leaves nothing', () => {
  const { net, store, answers, ask, runUntil } = setUp();
  net.shiftStore(0, 'to', 1);
  ask({ kind: 'transact', commit: claim('absent') });
  runUntil(100);
  assert.equal(answers.length, 0);
  assert.equal(store.content.request, null);
});

test('a session lives as long as its lease is renewed, and not a moment longer', () => {
  const { store, answers, ask, runUntil } = setUp();
  ask({ kind: 'open-session', member: n1, incarnation: incarnation('a'), ttlMs: 1000, is: 'absent', puts: [] });
  runUntil(900);
  const lease = answers[0]?.kind === 'session' ? answers[0].lease : 0;
  ask({ kind: 'keep-alive', lease });
  runUntil(1700);
  assert.ok(store.content.sessions.has(n1));
  runUntil(2100);
  assert.ok(!store.content.sessions.has(n1));
  ask({ kind: 'keep-alive', lease });
  runUntil(2200);
  assert.equal(answers.at(-1)?.kind, 'expired');
});

test('leases do not run out while the store is down; afterwards they may get their whole time again', () => {
  const { store, ask, runUntil } = setUp();
  ask({ kind: 'open-session', member: n1, incarnation: incarnation('a'), ttlMs: 1000, is: 'absent', puts: [] });
  runUntil(500);
  store.trouble.down += 1;
  runUntil(3000);
  assert.ok(store.content.sessions.has(n1));
  store.trouble.down -= 1;
  store.recover('extended');
  runUntil(3900);
  assert.ok(store.content.sessions.has(n1));
  runUntil(4100);
  assert.ok(!store.content.sessions.has(n1));
});
