/** Goal: a move is refused for what would go wrong, with what was seen; the words are the CLI's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MoveObjection, type MoveSettings, type MoveView, objectionToMove } from '../src/index.ts';
import { n1, n2, n3, n4 } from './support/build.ts';

type MoveMember = MoveView['members'][number];

const member = (id: MoveMember['id'], change: Partial<MoveMember> = {}): MoveMember => ({
  id,
  isHeard: true,
  state: 'replica',
  upstream: n1,
  isStreaming: true,
  replayLagBytes: 0,
  tags: { nosync: false, nofailover: false },
  ...change,
});

const LEADER = member(n1, { state: 'primary', upstream: null, isStreaming: false });
const SETTINGS: MoveSettings = { upstreams: {}, requiredAcks: 1, durability: 'sync', ackerLagBytes: 1000 };

/** What n3 hears that is to go under n2. */
function objection(
  change: Partial<MoveView> = {},
  settings: Partial<MoveSettings> = {},
  under: MoveMember['id'] | null = n2,
): MoveObjection['kind'] | null {
  const members = [LEADER, member(n2), member(n3)];
  const view: MoveView = { leader: n1, phase: 'open', isPaused: false, hasRequest: false, members, ...change };
  return objectionToMove(view, { ...SETTINGS, ...settings }, n3, under)?.kind ?? null;
}

test('a replica goes under another one that is well, or to the leader', () => {
  assert.equal(objection(), null);
  assert.equal(objection({}, {}, null), null);
});

test('nothing is moved in a cluster that is paused, leaderless or busy', () => {
  assert.equal(objection({ isPaused: true }), 'paused');
  assert.equal(objection({ phase: 'promoting' }), 'no-open-leader');
  assert.equal(objection({ hasRequest: true }, {}, null), 'other-request');
});

test('the upstream must be fed by the leader, near, and not below the node itself', () => {
  const with2 = (change: Partial<MoveMember>) => ({ members: [LEADER, member(n2, change), member(n3), member(n4)] });
  assert.equal(objection(with2({ isStreaming: false })), 'not-fed');
  assert.equal(objection(with2({ upstream: n3 })), null, 'by way of the node itself it is fed; what is wished decides');
  assert.equal(objection(with2({ replayLagBytes: 1001 })), 'lags');
  assert.equal(objection(with2({ isHeard: false })), 'unheard');
  assert.equal(objection(with2({}), { upstreams: { n2: n3 } }), 'circle');
  assert.equal(objection({}, {}, n3), 'itself');
  assert.equal(objection({}, {}, n4), 'no-member');
});

test('commits must not wait for more than would be left', () => {
  assert.equal(objection({}, { requiredAcks: 2 }), 'too-few-acks');
  assert.equal(objection({}, { requiredAcks: 2, durability: 'async' }), null);
  const nosync = [LEADER, member(n2, { tags: { nosync: true, nofailover: false } }), member(n3)];
  assert.equal(objection({ members: nosync }), 'too-few-acks');
});
