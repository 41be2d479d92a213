import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Balances, balanceProblems } from '../src/tour/pgbench.ts';

const even = (sum: string, transactions: number): Balances => ({
  accounts: sum,
  tellers: sum,
  branches: sum,
  history: sum,
  transactions,
});

test('equal sums on all nodes are balanced', () => {
  assert.deepEqual(
    balanceProblems(
      new Map([
        ['n1', even('-42', 10)],
        ['n2', even('-42', 10)],
      ]),
    ),
    [],
  );
});

test('money that is in one table only is found', () => {
  const [problem] = balanceProblems(new Map([['n1', { ...even('5', 3), tellers: '4' }]]));
  assert.equal(problem, 'n1: accounts 5, tellers 4, branches 5, history 5');
});

test('a node that lacks transactions is found', () => {
  const problems = balanceProblems(
    new Map([
      ['n1', even('5', 3)],
      ['n2', even('0', 2)],
    ]),
  );
  assert.deepEqual(problems, ['n2 has 2 transactions, n1 has 3']);
});
