import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MemberView, StatusView } from '@understudy/agent';
import { lastFatal, readinessOf, usableLeader, waitText } from '../src/ready.ts';
import { temporaryFolder } from './folders.ts';

function member(id: string, given: Partial<MemberView> = {}): MemberView {
  return {
    id,
    role: 'sync-standby',
    state: 'replica',
    agent: { kind: 'fresh', silentMs: 10 },
    session: 'held',
    apiUrl: null,
    host: null,
    port: null,
    epoch: 1,
    lineage: 1,
    position: null,
    replayed: null,
    receiveLagBytes: 0,
    replayLagBytes: 0,
    replayLagMs: 0,
    lagIsAtLeast: false,
    upstream: 'n1',
    wantedUpstream: null,
    hopLagBytes: 0,
    hopLagMs: 0,
    receiver: { kind: 'streaming', silentMs: 5 },
    suspects: null,
    sealed: null,
    tags: { nofailover: false, nosync: false, noloadbalance: false, priority: 100, zone: null, delayMs: 0 },
    reasons: [{ code: 'following', text: 'Following n1.' }],
    job: null,
    version: '17.10',
    pendingRestart: [],
    warnings: [],
    retainedBytes: {},
    ...given,
  };
}

const leader = member('n1', { role: 'leader', state: 'primary', upstream: null, receiver: null });

const whole: StatusView = {
  cluster: 'c',
  engine: 'postgres',
  answeredBy: 'n1',
  wallMs: 0,
  systemId: '1',
  epoch: 1,
  leader: 'n1',
  phase: 'open',
  since: null,
  durability: 'sync',
  rule: { members: ['n2', 'n3'], required: 1 },
  moving: null,
  paused: false,
  store: { kind: 'current', silentMs: null, name: 's', problem: null },
  rpo: { kind: 'zero-proven', text: '' },
  members: [leader, member('n2'), member('n3')],
  request: null,
  lastOutcome: null,
  warnings: [],
};

test('an open leader with all others streaming is a whole cluster', () => {
  assert.deepEqual(readinessOf(whole, 3), { kind: 'ready', leader: 'n1' });
});

for (const [what, status, phase, why] of [
  ['nobody answers', null, 'agents', /no agent answers/],
  ['there is no leader', { ...whole, leader: null, phase: 'none' }, 'bootstrap', /no leader yet/],
  ['the leader is opening', { ...whole, phase: 'promoting' }, 'bootstrap', /n1 is opening/],
  ['the leader has stopped', { ...whole, members: [member('n1', { state: 'stopped' })] }, 'bootstrap', /n1 is stopped/],
  [
    'a replica does not stream',
    { ...whole, members: [leader, member('n2', { receiver: null }), member('n3')] },
    'replicas',
    /^n2: /,
  ],
  [
    'a replica follows somebody else',
    { ...whole, members: [leader, member('n2', { upstream: 'n3' })] },
    'replicas',
    /^n2: /,
  ],
  ['a member has not registered', { ...whole, members: [leader, member('n2')] }, 'replicas', /not all members/],
  ['nobody acknowledges', { ...whole, rule: { members: [], required: 0 } }, 'replicas', /not counted/],
  ['the rule is being changed', { ...whole, moving: { members: ['n2'], required: 1 } }, 'replicas', /not counted/],
] as const) {
  test(`not whole: ${what}`, () => {
    const readiness = readinessOf(status as StatusView | null, 3);
    assert.ok(readiness.kind === 'not-ready');
    assert.equal(readiness.phase, phase);
    assert.match(readiness.why, why);
  });
}

test('whole too: a replica below a replica, but not two in a circle', () => {
  const chain = { ...whole, members: [leader, member('n2'), member('n3', { upstream: 'n2' })] };
  assert.equal(readinessOf(chain, 3).kind, 'ready');
  const circle = { ...whole, members: [leader, member('n2', { upstream: 'n3' }), member('n3', { upstream: 'n2' })] };
  assert.equal(readinessOf(circle, 3).kind, 'not-ready');
});

test('in async mode nobody has to acknowledge', () => {
  const status: StatusView = { ...whole, durability: 'async', rule: { members: [], required: 0 } };
  assert.equal(readinessOf(status, 3).kind, 'ready');
});

test('a member says what it is doing', () => {
  const job = { kind: 'clone', sinceMs: 100, doneBytes: 25, totalBytes: 100 };
  assert.equal(waitText(member('n2', { job })), 'clone 25 %');
  assert.equal(waitText(member('n2')), 'Following n1.');
});

test('a cluster that lacks a member is usable as long as enough of the others acknowledge', () => {
  const lost = member('n3', { state: 'refused', receiver: null });
  assert.equal(usableLeader({ ...whole, members: [leader, member('n2'), lost] }), 'n1');
  assert.equal(usableLeader({ ...whole, members: [leader, lost] }), null, 'nobody acknowledges');
  const both = { members: ['n2', 'n3'], required: 2 };
  assert.equal(usableLeader({ ...whole, rule: both, members: [leader, member('n2'), lost] }), null);
  assert.equal(usableLeader({ ...whole, phase: 'promoting' }), null);
});

test('the last line with which a server gave up is found in its log', async (t) => {
  const folder = await temporaryFolder(t);
  assert.equal(await lastFatal(folder), null);
  await writeFile(
    join(folder, 'postgres.log'),
    '10:00 FATAL:  first\n10:01 LOG:  more\n10:02 FATAL:  no room\n10:03 LOG:  bye\n',
  );
  assert.equal(await lastFatal(folder), '10:02 FATAL:  no room');
});
