// Goal: a tree is shown as it is, and what would not work is refused with the values seen. Method: statuses as values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberId, upstreamsAfter } from '@understudy/core';
import { PLAIN, stripStyle } from '../src/output/style.ts';
import { renderTopology, topologyJson } from '../src/render/topology.ts';
import { destinationOf, refusalOfMove, type TreeSettings, upstreamOf } from '../src/topology/objections.ts';
import { upstreamsOf } from '../src/topology/shape.ts';
import { topologyOf } from '../src/topology/tree.ts';
import { gone, leading, member, status } from './support/views.ts';

const below = (id: string, upstream: string, change: Parameters<typeof member>[1] = {}) =>
  member(id, { role: 'replica', upstream, wantedUpstream: upstream, ...change });

const tree = status({
  rule: { members: ['n2', 'n3'], required: 1 },
  members: [
    leading('n1'),
    member('n2'),
    member('n3', { hopLagBytes: 2048, hopLagMs: 12 }),
    below('n4', 'n2', { hopLagMs: 7, replayLagMs: 9, replayLagBytes: 10 }),
    below('n5', 'n4'),
    member('n6', {
      role: 'replica',
      wantedUpstream: 'n7',
      reasons: [{ code: 'following', text: 'Following n1: wanted under n7, but n7 is not a running replica.' }],
    }),
    gone('n7'),
  ],
});

test('the tree is drawn from the leader down, with the lag of each hop, and what is not in it below', () => {
  const lines = renderTopology(tree, PLAIN, 160).map(stripStyle);
  assert.deepEqual(
    lines.map((line) => line.slice(0, 12).trimEnd()),
    ['MEMBER', 'n1', '├─ n2', '│  └─ n4', '│     └─ n5', '├─ n3', '└─ n6', '? n7'],
  );
  assert.match(lines[3] ?? '', /replica +streaming +0 B \/ 7 ms +10 B \/ 9 ms$/);
  assert.match(lines[5] ?? '', /acknowledges +streaming +2 KiB \/ 12 ms/);
  assert.match(lines[6] ?? '', /wanted under n7, but n7 is not a running replica\.$/);
  assert.match(lines[7] ?? '', /refused connections/);
});

test('as JSON each member has those below it', () => {
  const json = JSON.stringify(topologyJson(tree));
  assert.match(json, /"id":"n2".*"replicas":\[\{"id":"n4".*"replicas":\[\{"id":"n5"/);
  assert.match(json, /"outside":\[\{"id":"n7"/);
});

test('a circle is no tree, and without a leader there is none', () => {
  const circle = { leader: 'n1', members: [leading('n1'), below('n2', 'n3'), below('n3', 'n2')] };
  assert.deepEqual(
    topologyOf(circle).outside.map(({ id }) => id),
    ['n2', 'n3'],
  );
  assert.equal(topologyOf({ ...circle, leader: null }).root, null);
});

const settings: TreeSettings = { upstreams: {}, requiredAcks: 1, durability: 'sync', ackerLagBytes: 1024 };
const small = status();

/** Why a move is refused; null when it is not. */
const refusal = (
  node: string,
  under: string,
  change: { status?: typeof small; settings?: Partial<TreeSettings> } = {},
) => {
  const seen = change.status ?? small;
  const objection = refusalOfMove(seen, { ...settings, ...change.settings }, node, destinationOf(seen, under));
  if (objection !== null) assert.match(objection.next, /understudy /);
  return objection?.why ?? null;
};

test('what can be moved, to where', () => {
  assert.equal(refusal('n3', 'n2'), null);
  assert.equal(refusal('n3', 'leader'), null);
  assert.equal(refusal('n3', 'n1'), null);
  assert.deepEqual(upstreamsAfter({ n3: memberId('n2') }, memberId('n3'), upstreamOf(destinationOf(small, 'n1'))), {});
});

const late = status({ members: [leading('n1'), member('n2', { replayLagBytes: 4096 }), member('n3')] });
const cut = status({
  members: [leading('n1'), member('n2', { upstream: null, receiver: { kind: 'none' } }), member('n3')],
});
const dead = status({ members: [leading('n1'), gone('n2'), member('n3')] });
const pending = { id: 'r', kind: 'restart', text: 'restart of n2', notBeforeWallMs: null } as const;

const refused: readonly (readonly [string, string, Parameters<typeof refusal>[2], RegExp])[] = [
  ['n9', 'n2', {}, /n9 is not a member of this cluster; its members are n1, n2, n3/],
  ['n3', 'n9', {}, /n9 is not a member/],
  ['n3', 'n3', {}, /under itself/],
  ['n1', 'n2', {}, /n1 leads, so it follows nobody/],
  ['n3', 'n2', { settings: { upstreams: { n2: 'n3' } } }, /circle: n2 under n3 under n2/],
  ['n3', 'n2', { status: dead }, /n2's agent is not heard/],
  ['n2', 'leader', { status: dead }, /n2's agent is not heard/],
  ['n3', 'n2', { status: cut }, /n2 gets no stream that begins at n1 \(it follows nobody\)/],
  ['n3', 'n2', { status: late }, /n2 lags by 4 KiB.*1 KiB \(ackerLagBytes\)/],
  ['n3', 'n2', { settings: { requiredAcks: 2 } }, /Commits wait for 2 \(requiredAcks\).*without n3 that would be n2\./],
  ['n3', 'n2', { status: status({ paused: true }) }, /paused/],
  ['n3', 'n2', { status: status({ phase: 'promoting' }) }, /no open leader/],
  ['n3', 'n2', { status: status({ request: pending }) }, /restart of n2/],
];

for (const [node, under, change, why] of refused) {
  test(`${node} under ${under} is refused: ${why.source}`, () => assert.match(refusal(node, under, change) ?? '', why));
}

test('in async durability nobody has to be left with the leader', () => {
  assert.equal(refusal('n3', 'n2', { settings: { requiredAcks: 2, durability: 'async' } }), null);
});

test('the shapes of a new cluster', () => {
  const names = ['n2', 'n1', 'n3', 'n4', 'n5', 'n6'];
  assert.deepEqual(upstreamsOf('star', names), {});
  assert.deepEqual(upstreamsOf('chain', names.slice(0, 4)), { n1: 'n2', n3: 'n1', n4: 'n3' });
  assert.deepEqual(upstreamsOf('tree', names), { n1: 'n2', n3: 'n2', n4: 'n1', n5: 'n3', n6: 'n1' });
  assert.throws(() => upstreamsOf('tree', ['n1', 'n2', 'n3']), /A tree of 3 nodes is not possible/);
});
