/** Goal: people can read why a statement goes where it goes. Method: one answer whole, and that no choice is left without a sentence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberId, ms } from '@understudy/core';
import {
  type ChoiceInput,
  chooseNode,
  DEFAULT_CHOICE_POLICY,
  EMPTY_CLOCK,
  explainedStatement,
  explainRoute,
  type Requirement,
  resolveSettings,
  WHOLE_CLUSTER,
} from '../src/index.ts';
import { classify } from './support/catalog.ts';
import { at, nodeOf, topologyOf } from './support/topology.ts';

const NODES = [
  nodeOf('n1', { role: 'primary', applied: at(2, 2000) }),
  nodeOf('n2', { applied: at(2, 1500) }),
  nodeOf('n3', { applied: at(2, 1400) }),
  nodeOf('n4', { takesReads: false }),
  nodeOf('n5', { applied: at(1, 1900) }),
];
const NEEDS: Requirement = { kind: 'position', position: at(2, 1500), canBeLost: false };

function explained(text: string, more: Partial<ChoiceInput> = {}) {
  const classification = classify(text);
  const input: ChoiceInput = {
    topology: topologyOf(NODES),
    clock: EMPTY_CLOCK,
    allowed: classification.node === 'any' ? 'any' : 'primary',
    requirement: NEEDS,
    target: { kind: 'auto' },
    pool: WHOLE_CLUSTER,
    policy: DEFAULT_CHOICE_POLICY,
    nowMs: ms(0),
    draws: [0, 0],
    turn: 0,
    sticky: null,
    excluded: new Set(),
    ...more,
  };
  const settings = resolveSettings({ statement: classification.settings });
  return explainRoute({ classification, settings, requirement: input.requirement, choice: chooseNode(input) });
}

test('a read', () => {
  assert.deepEqual(explained('SELECT * FROM t /* understudy: level=causal */'), {
    node: 'n2',
    lines: [
      'node: n2 (replica): it is the only node that is fresh enough.',
      'class: any (read): It only reads, and everything that it calls is known to only read.',
      'level: causal (from the statement); route: auto (default)',
      'needs: everything up to 2@0/5DC',
      '  n1 (primary): the primary',
      '  n2 (replica): fresh: has applied what is needed',
      '  n3 (replica): behind when last heard, on its way',
      '  n4 (replica): takes no reads (noloadbalance, weight 0)',
      '  n5 (replica): unusable: it holds what the primary does not',
    ],
  });
});

test('what needs the primary says which part of it does', () => {
  const { node, lines } = explained('SELECT * FROM t WHERE pg_advisory_lock(1) IS NULL');
  assert.equal(node, 'n1');
  assert.deepEqual(lines.slice(0, 4), [
    'node: n1 (primary): the statement needs the primary.',
    'class: primary (advisory-lock [pg_advisory_lock]): It takes an advisory lock; a replica would grant one that excludes nobody.',
    'pins the session to its connection: session-advisory-lock',
    'changes the session: advisory-lock',
  ]);
});

test('what would wait or be refused says so', () => {
  const topology = topologyOf(NODES, { phase: 'promoting' });
  assert.match(explained('DELETE FROM t', { topology }).lines[0] ?? '', /would wait: the new primary is not open yet/);
  const target = { kind: 'node', member: memberId('n5') } as const;
  assert.match(explained('SELECT 1', { target }).lines[0] ?? '', /would be refused: Node n5/);
});

test('the statement behind EXPLAIN ROUTE', () => {
  assert.equal(explainedStatement(' explain  Route SELECT 1;'), 'SELECT 1;');
  assert.equal(explainedStatement('EXPLAIN SELECT route'), null);
  assert.equal(explainedStatement('EXPLAIN ROUTE'), null);
});
