/** Goal: what is answered to clients and said of members follows from one rule each, also while a rule changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  acknowledgesNow,
  addMs,
  type Decision,
  isFedBy,
  isSyncStandby,
  isUrgent,
  ms,
  nextEpoch,
  type Observation,
  servesAt,
} from '../src/index.ts';
import {
  any,
  content,
  decideOn,
  NOW,
  n1,
  n2,
  n3,
  type ObservationChange,
  observation,
  primary,
  process1,
  record,
  replica,
  seal,
} from './support/build.ts';
import { at } from './support/positions.ts';

const LEADS: ObservationChange = { self: n1, engine: primary() };
const UNTIL = ms(NOW + 1000);

/** What a node is asked for, by default the open leader a moment after its decision. */
function served(change: ObservationChange = {}, newest = record(), now = ms(NOW + 1)): string {
  const obs: Observation = observation({ ...LEADS, incarnation: process1(n1), ...change });
  const decision: Decision = { ...decideOn(LEADS), authority: { kind: 'primary', until: UNTIL } };
  return servesAt(obs, decision, newest, now);
}

test('the open leader takes writes until its deadline, and not at it', () => {
  assert.equal(served(), 'primary');
  assert.equal(served({}, record(), addMs(UNTIL, -1)), 'primary');
  assert.equal(served({}, record(), UNTIL), 'nothing');
});

test('a primary takes no writes that another process leads, that is not open yet, or that a newer epoch supersedes', () => {
  assert.equal(served({ store: { record: { incarnation: process1(n2) } } }), 'nothing');
  assert.equal(served({ store: { record: { leader: n2 } } }), 'nothing');
  assert.equal(served({ store: { record: { phase: 'promoting', opened: null } } }), 'nothing');
  assert.equal(served({}, record({ epoch: nextEpoch(record().epoch) })), 'nothing');
});

test('a replica is read, and what neither runs as one nor leads is asked for nothing', () => {
  assert.equal(served({ engine: replica() }), 'replica');
  assert.equal(served({ engine: { kind: 'starting', sinceMs: 1 } }), 'nothing');
});

test('a member is a synchronous standby where every rule names it that may be counted by', () => {
  assert.equal(isSyncStandby(record({ rule: any(1, n2) }), n2), true);
  assert.equal(isSyncStandby(record({ rule: any(1, n2), nextRule: any(1, n3) }), n2), false, 'it is on its way out');
  assert.equal(isSyncStandby(record({ rule: any(1, n2), nextRule: any(1, n2, n3) }), n3), false, 'on its way in');
  assert.equal(isSyncStandby(record({ rule: any(1, n2), nextRule: any(1, n2, n3) }), n2), true);
  assert.equal(isSyncStandby(record({ rule: any(1, n2), durability: 'async' }), n2), false);
  assert.equal(isSyncStandby(null, n2), false);
});

test('a member acknowledges as soon as anything counts on it, and never while it is sealed', () => {
  const moving = { rule: any(1, n2), nextRule: any(1, n3) };
  const of = (change: Parameters<typeof content>[0]) => content({ record: moving, ...change });
  assert.equal(acknowledgesNow(of({}), n3, null), true);
  assert.equal(acknowledgesNow(of({}), n2, null), false);
  assert.equal(acknowledgesNow(of({}), n2, primary({ acks: { running: any(1, n2), barrier: null } })), true);
  assert.equal(acknowledgesNow(of({ seals: { n3: seal(at(5, 4500)) } }), n3, null), false);
  assert.equal(acknowledgesNow(null, n2, null), false);
});

test('a stream begins at the leader by way of others, and never in a circle', () => {
  const from = (sources: Record<string, string>) => (member: string) => sources[member] ?? null;
  assert.equal(isFedBy('a', 'c', from({ c: 'b', b: 'a' })), true);
  assert.equal(isFedBy('a', 'c', from({ c: 'b' })), false);
  assert.equal(isFedBy('a', 'c', from({ c: 'b', b: 'd', d: 'c' })), false);
  assert.equal(isFedBy('a', 'c', from({ c: 'c' })), false);
});

test('what costs an outage while it lasts is urgent', () => {
  const urgent = (change: ObservationChange, decided: Partial<Decision> = {}): boolean =>
    isUrgent(observation(change), { ...decideOn(change), suspects: null, ...decided });
  assert.equal(urgent({}), false);
  assert.equal(urgent({ leaving: 'yes' }), true);
  assert.equal(urgent({ engine: { kind: 'starting', sinceMs: 1 } }), true);
  assert.equal(urgent({}, { suspects: record().epoch }), true);
  assert.equal(urgent({ self: n1, store: { record: { phase: 'promoting', opened: null } } }), true);
});
