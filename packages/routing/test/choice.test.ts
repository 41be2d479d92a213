/**
 * Goal: the choice never leaves what is allowed, and spreads as it says. Method: generated clusters for the first, counted draws for the
 * second, each policy once.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { contains, memberId, ms } from '@understudy/core';
import fc from 'fast-check';
import {
  addSample,
  allowedNodes,
  type ChoiceInput,
  chooseNode,
  DEFAULT_CHOICE_POLICY,
  EMPTY_CLOCK,
  hasLeft,
  type NodeHealth,
  type Requirement,
  type RoutingNode,
  WHOLE_CLUSTER,
} from '../src/index.ts';
import { classify } from './support/catalog.ts';
import { at, nodeOf, topologyOf } from './support/topology.ts';

const PRIMARY = nodeOf('p', { role: 'primary', applied: at(2, 2000) });
const AT_1500: Requirement = { kind: 'position', position: at(2, 1500), canBeLost: false };
const OUT: NodeHealth = { kind: 'open', untilMs: ms(5000), ejections: 1 };

const inputOf = (nodes: readonly RoutingNode[], more: Partial<ChoiceInput> = {}): ChoiceInput => ({
  topology: topologyOf(nodes),
  clock: EMPTY_CLOCK,
  allowed: 'any',
  requirement: { kind: 'none' },
  target: { kind: 'auto' },
  pool: WHOLE_CLUSTER,
  policy: DEFAULT_CHOICE_POLICY,
  nowMs: ms(1000),
  draws: [0.3, 0.6],
  turn: 0,
  sticky: null,
  excluded: new Set(),
  ...more,
});

/** `node/reason`, `hold/why` or the code of the refusal. */
function chosen(nodes: readonly RoutingNode[], more: Partial<ChoiceInput> = {}): string {
  const choice = chooseNode(inputOf(nodes, more));
  if (choice.kind === 'node') return `${choice.member}/${choice.reason}${choice.guard === null ? '' : '/guarded'}`;
  return choice.kind === 'hold' ? `hold/${choice.why}` : choice.error.code;
}

const replica = (name: string, end: number, more: Partial<RoutingNode> = {}) =>
  nodeOf(name, { applied: at(2, end), ...more });
const withPolicy = (more: Partial<typeof DEFAULT_CHOICE_POLICY>) => ({ policy: { ...DEFAULT_CHOICE_POLICY, ...more } });

describe('what needs the primary', () => {
  const nodes = [PRIMARY, replica('a', 1500)];

  test('goes there', () => {
    assert.equal(chosen(nodes, { allowed: 'primary' }), 'p/statement-needs-primary');
    assert.equal(chosen(nodes, { target: { kind: 'primary' } }), 'p/asked-for-primary');
    assert.equal(chosen(nodes, { requirement: { kind: 'primary', why: 'strong' } }), 'p/level-needs-primary');
  });

  test('goes nowhere else, whatever is asked', () => {
    for (const target of [{ kind: 'replica' }, { kind: 'node', member: memberId('a') }] as const) {
      assert.equal(chosen(nodes, { allowed: 'primary', target }), 'p/statement-needs-primary');
    }
  });

  test('goes to the node that a hint names, if it asks that node about itself', () => {
    const target = { kind: 'node', member: memberId('a') } as const;
    assert.equal(allowedNodes(classify('SELECT * FROM pg_locks')), 'named');
    assert.equal(allowedNodes(classify('SELECT pg_is_in_recovery()')), 'named');
    assert.equal(allowedNodes(classify('SELECT bump()')), 'primary');
    assert.equal(allowedNodes(classify('SELECT * FROM pg_locks; DELETE FROM t')), 'primary');
    assert.equal(allowedNodes(classify('SELECT * FROM t')), 'any');
    assert.equal(chosen(nodes, { allowed: 'named', target, requirement: AT_1500 }), 'a/named-node');
    assert.equal(chosen(nodes, { allowed: 'named' }), 'p/statement-needs-primary');
    assert.equal(chosen(nodes, { allowed: 'named', target: { kind: 'node', member: memberId('x') } }), 'NO_NODE');
  });

  test('waits while nobody leads', () => {
    const hold = (more: Parameters<typeof topologyOf>[1]) =>
      chosen(nodes, { allowed: 'primary', topology: topologyOf(nodes, more) });
    assert.equal(hold({ phase: 'promoting' }), 'hold/promoting');
    assert.equal(hold({ leader: null }), 'hold/no-primary');
    assert.equal(hold({ leader: memberId('a') }), 'hold/no-primary');
    assert.equal(hold({ leaseUntilMs: ms(1000) }), 'hold/lease-over');
    assert.equal(hold({ leaseUntilMs: ms(1001) }), 'p/statement-needs-primary');
    assert.equal(chosen(nodes, { allowed: 'primary', excluded: new Set([memberId('p')]) }), 'hold/no-primary');
  });

  test('is refused in a pool that does not reach it', () => {
    const pool = { members: new Set([memberId('a')]), spill: 'none' } as const;
    assert.equal(chosen(nodes, { allowed: 'primary', pool }), 'POOL_READS_ONLY');
    assert.equal(chosen(nodes, { allowed: 'any', pool }), 'a/only-node');
    assert.equal(
      chosen(nodes, { allowed: 'primary', pool: { ...pool, spill: 'primary' } }),
      'p/statement-needs-primary',
    );
  });
});

describe('a read', () => {
  test('goes to a fresh replica, else to one that a guard can check, else to the primary', () => {
    assert.equal(chosen([PRIMARY, replica('a', 1500), replica('b', 1400)], { requirement: AT_1500 }), 'a/only-node');
    assert.equal(
      chosen([PRIMARY, replica('a', 1300), replica('b', 1400)], { requirement: AT_1500 }),
      'b/guarded-replica/guarded',
    );
    assert.equal(
      chosen([PRIMARY, replica('a', 1300)], { requirement: AT_1500, ...withPolicy({ maxWaitMs: 0 }) }),
      'p/no-replica-fresh',
    );
    assert.equal(chosen([PRIMARY], { requirement: AT_1500 }), 'p/no-replica-usable');
    assert.equal(chosen([PRIMARY, nodeOf('a')], { requirement: AT_1500 }), 'p/no-replica-fresh');
  });

  test('does what the policy says when nobody is fresh', () => {
    const behind = [PRIMARY, nodeOf('a', { applied: at(1, 900) })];
    assert.equal(chosen(behind, { requirement: AT_1500, ...withPolicy({ onStale: 'error' }) }), 'NO_FRESH_NODE');
    assert.equal(chosen(behind, { requirement: AT_1500, ...withPolicy({ onStale: 'stale' }) }), 'a/stale-accepted');
    assert.equal(chosen(behind, { requirement: AT_1500, target: { kind: 'replica' } }), 'NO_FRESH_NODE');
    assert.equal(chosen(behind, { requirement: AT_1500, pool: { spill: 'none' } }), 'NO_FRESH_NODE');
    const diverged = [PRIMARY, nodeOf('a', { applied: at(1, 1900) })];
    assert.equal(chosen(diverged, { requirement: AT_1500, ...withPolicy({ onStale: 'stale' }) }), 'NO_FRESH_NODE');
  });

  test('goes where a hint says only if that is fresh', () => {
    const target = { kind: 'node', member: memberId('a') } as const;
    assert.equal(
      chosen([PRIMARY, replica('a', 1500, { takesReads: false })], { target, requirement: AT_1500 }),
      'a/named-node',
    );
    assert.equal(chosen([PRIMARY, replica('a', 1499)], { target, requirement: AT_1500 }), 'a/named-node/guarded');
    assert.equal(chosen([PRIMARY, nodeOf('a')], { target, requirement: AT_1500 }), 'NO_NODE');
    assert.equal(chosen([PRIMARY], { target }), 'NO_NODE');
  });

  test('passes over who is tagged, out of the pool, taken out, or has failed already', () => {
    const b = replica('b', 1500);
    const over = (more: Partial<RoutingNode>, input: Partial<ChoiceInput> = {}) =>
      chosen([PRIMARY, replica('a', 1500, more), b], input);
    assert.equal(over({ takesReads: false }), 'b/only-node');
    assert.equal(over({ weight: 0 }), 'b/only-node');
    assert.equal(over({ health: OUT }), 'b/only-node');
    assert.equal(over({}, { excluded: new Set([memberId('a')]) }), 'b/only-node');
    assert.equal(over({ zone: 'x' }, { pool: { zones: new Set(['y']), spill: 'primary' } }), 'p/no-replica-usable');
    assert.equal(over({ tags: new Set(['big']) }, { pool: { tags: new Set(['big']), spill: 'none' } }), 'a/only-node');
  });

  test('when everybody is taken out, nobody is', () => {
    const nodes = [PRIMARY, replica('a', 1500, { health: OUT })];
    assert.equal(chosen(nodes), 'p/no-replica-usable');
    assert.equal(chosen(nodes, { pool: { spill: 'none' } }), 'a/only-node');
  });

  test('tries a node again after its time, once', () => {
    const choice = chooseNode(inputOf([replica('a', 1500, { health: OUT })], { nowMs: ms(5000) }));
    assert.equal(choice.kind === 'node' && choice.isProbe, true);
    const probed = replica('a', 1500, { health: { kind: 'half-open', probeSinceMs: ms(900), ejections: 1 } });
    assert.equal(chosen([PRIMARY, probed]), 'p/no-replica-usable');
  });
});

describe('the spread', () => {
  const shares = (nodes: readonly RoutingNode[], more: Partial<ChoiceInput> = {}): Record<string, number> => {
    const counts: Record<string, number> = {};
    const steps = 20;
    for (let turn = 0; turn < steps * steps; turn += 1) {
      const draws = [((turn % steps) + 0.5) / steps, (Math.floor(turn / steps) + 0.5) / steps] as const;
      const choice = chooseNode(inputOf(nodes, { draws, turn, ...more }));
      if (choice.kind === 'node') counts[choice.member] = (counts[choice.member] ?? 0) + 1 / steps ** 2;
    }
    return counts;
  };
  const three = ['a', 'b', 'c'].map((name) => replica(name, 1500));

  test('round robin takes one after the other', () => {
    const order = [0, 1, 2, 3].map((turn) => chosen(three, { turn, ...withPolicy({ balance: 'round-robin' }) }));
    assert.deepEqual(order, ['a/round-robin', 'b/round-robin', 'c/round-robin', 'a/round-robin']);
  });

  test('equal nodes get equal shares; the better one of two gets more; the worst of all nothing', () => {
    for (const share of Object.values(shares(three))) assert.ok(Math.abs(share - 1 / 3) < 0.1, String(share));
    const loaded = [replica('a', 1500, { inFlight: 9 }), replica('b', 1500), replica('c', 1500)];
    assert.equal(shares(loaded).a, undefined);
    const slow = [replica('a', 1500, { latencyMs: 10 }), replica('b', 1500)];
    assert.deepEqual(shares(slow), { b: shares(slow).b });
  });

  test('a weight shifts what is drawn, a zone what is better', () => {
    const weighted = shares([replica('a', 1500, { weight: 3 }), replica('b', 1500), replica('c', 1500)]);
    assert.ok((weighted.a ?? 0) > 0.5);
    const near = shares(
      [replica('a', 1500, { zone: 'x' }), replica('b', 1500, { zone: 'y' })],
      withPolicy({ zone: 'x' }),
    );
    assert.equal(near.b, undefined);
    const busy = shares(
      [replica('a', 1500, { zone: 'x', inFlight: 9 }), replica('b', 1500, { zone: 'y' })],
      withPolicy({ zone: 'x' }),
    );
    assert.equal(busy.a, undefined);
  });

  test('sticks to the node of before while that will do', () => {
    const policy = withPolicy({ balance: 'sticky' });
    assert.equal(chosen(three, { sticky: memberId('c'), ...policy }), 'c/sticky');
    assert.equal(
      chosen([...three.slice(0, 2), replica('c', 1499)], { sticky: memberId('c'), requirement: AT_1500, ...policy }),
      'a/best-of-two',
    );
  });

  test('includes the primary when the policy says so', () => {
    assert.ok((shares([PRIMARY, ...three], withPolicy({ primaryReads: 'equal' })).p ?? 0) > 0.1);
    assert.equal(shares([PRIMARY, ...three]).p, undefined);
  });
});

test('no choice is ever stale, diverged, out of the pool or tagged, unless stale answers were accepted', () => {
  const aNode = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    applied: fc.option(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 3000 }))),
    weight: fc.constantFrom(0, 1, 2),
    takesReads: fc.boolean(),
    isOut: fc.boolean(),
    inFlight: fc.nat(5),
  });
  const aRequirement = fc.oneof(
    fc.constant<Requirement>({ kind: 'none' }),
    fc
      .integer({ min: 0, max: 2000 })
      .map((end): Requirement => ({ kind: 'position', position: at(2, end), canBeLost: false })),
    fc.integer({ min: 1, max: 500 }).map((maxLagMs): Requirement => ({ kind: 'staleness', maxLagMs })),
  );
  const clock = addSample(addSample(EMPTY_CLOCK, { notBeforeMs: ms(500), position: at(2, 1200) }), {
    notBeforeMs: ms(800),
    position: at(2, 1400),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(aNode, { selector: ({ name }) => name, maxLength: 4 }),
      aRequirement,
      fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.double({ min: 0, max: 0.999, noNaN: true })),
      fc.constantFrom('primary', 'error'),
      fc.constantFrom('two-choices', 'round-robin', 'sticky'),
      fc.nat(50),
      (specs, requirement, draws, onStale, balance, maxWaitMs) => {
        const nodes = specs.map(({ name, applied, weight, takesReads, isOut, inFlight }) =>
          nodeOf(name, {
            applied: applied === null ? null : at(...applied),
            weight,
            takesReads,
            health: isOut ? OUT : { kind: 'closed', failures: 0, ejections: 0 },
            inFlight,
          }),
        );
        const choice = chooseNode(
          inputOf([PRIMARY, ...nodes], {
            requirement,
            clock,
            draws,
            sticky: memberId('b'),
            ...withPolicy({ onStale, balance, maxWaitMs }),
          }),
        );
        if (choice.kind !== 'node' || choice.role === 'primary') return;
        const node = nodes.find(({ member }) => member === choice.member) ?? assert.fail('unknown node');
        assert.ok(node.takesReads && node.weight > 0);
        assert.ok(node.applied === null || !hasLeft(node.applied, at(2, 1000)));
        if (requirement.kind === 'none') return;
        assert.ok(node.applied !== null);
        if (choice.guard !== null)
          assert.ok(requirement.kind === 'position' && contains(choice.guard, requirement.position));
        else if (requirement.kind === 'position') assert.ok(contains(node.applied, requirement.position));
        else if (requirement.kind === 'staleness')
          assert.ok(contains(node.applied, newestWithin(requirement.maxLagMs)));
      },
    ),
    { numRuns: 2000 },
  );
});

/** The oldest position that is recent enough at 1000, by the samples of the test above: at 500 and at 800. */
const newestWithin = (maxLagMs: number) => at(2, maxLagMs < 200 ? 1_000_000 : maxLagMs < 500 ? 1400 : 1200);
