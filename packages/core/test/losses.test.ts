import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lossOutlook } from '../src/index.ts';
import { any, n1, n2, n3, n4, n5, type ObservationChange, observation, silent } from './support/build.ts';

const FIVE = [n1, n2, n3, n4, n5];
const losses = (change: ObservationChange) => lossOutlook(observation({ self: n1, ...change }));

test('three nodes: any one host, no two', () => {
  const outlook = losses({});
  assert.equal(outlook?.text, 'any one host; no two of them together');
  assert.deepEqual(outlook?.one, []);
});

test('three nodes, one of them away: the loss of any other host stops the writes', () => {
  const outlook = losses({ peers: { [n3]: silent(60_000) } });
  assert.deepEqual(outlook?.one, [n1, n2]);
});

test('five nodes, one acknowledgement: the leader and an acker together are not survived, and are named', () => {
  const outlook = losses({ store: { members: FIVE, record: { rule: any(1, n2, n3) } } });
  assert.deepEqual(outlook?.one, []);
  assert.deepEqual(outlook?.two, [
    [n1, n2],
    [n1, n3],
  ]);
  assert.equal(outlook?.text, 'any one host, and two; n1 and n2 together: no; n1 and n3 together: no');
});

test('five nodes, two acknowledgements: any two hosts', () => {
  const store = { members: FIVE, record: { rule: any(2, n2, n3, n4, n5) }, config: { requiredAcks: 2 } };
  assert.equal(losses({ store })?.text, 'any two hosts');
});

test('a leader that acknowledges alone is needed itself', () => {
  const outlook = losses({ store: { record: { rule: any(0) }, config: { whenShort: 'degrade' } } });
  assert.deepEqual(outlook?.one, [n1]);
  assert.equal(outlook?.text, 'any one host but n1, and any two of those');
});

test('without a record nothing can be said', () => {
  assert.equal(losses({ store: { record: null } }), null);
});
