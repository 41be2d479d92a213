/** Goal: a transaction has one node, and moves only where nothing is lost by it. Method: transactions as lists of texts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { afterStatement, beginTransaction, type TransactionDefaults, transactionStep } from '../src/index.ts';
import { classify } from './support/catalog.ts';

const DEFAULTS: TransactionDefaults = { isReadOnly: false, isolation: 'read committed' };

/** What each statement of a transaction needs; a choice is followed to a replica wherever that is allowed. */
function steps(begin: string, texts: readonly string[], defaults = DEFAULTS): string[] {
  const begun = classify(begin).transaction;
  if (begun?.kind !== 'begin') return assert.fail(begin);
  let route = beginTransaction(begun.mode, defaults);
  return texts.map((text) => {
    const next = classify(text);
    const step = transactionStep(route, next);
    const goes =
      step.kind === 'choose'
        ? step.allowed === 'any'
          ? 'replica'
          : 'primary'
        : step.kind === 'move'
          ? 'primary'
          : route.at;
    if (step.kind !== 'refuse' && goes !== 'undecided') route = afterStatement(route, next, goes);
    return step.kind === 'choose' ? `choose ${step.allowed}` : step.kind === 'refuse' ? step.error.sqlState : step.kind;
  });
}

describe('a transaction', () => {
  test('goes to the primary unless it says that it only reads', () => {
    assert.deepEqual(steps('BEGIN', ['SELECT 1', 'SELECT a FROM t']), ['choose primary', 'stay']);
    assert.deepEqual(steps('BEGIN READ WRITE', ['SELECT 1'], { ...DEFAULTS, isReadOnly: true }), ['choose primary']);
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT 1', 'SELECT a FROM t', 'COMMIT']), [
      'choose any',
      'stay',
      'stay',
    ]);
    assert.deepEqual(steps('BEGIN', ['SELECT 1'], { ...DEFAULTS, isReadOnly: true }), ['choose any']);
  });

  test('goes to the primary when its first statement needs that, or a replica could not give its snapshot', () => {
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT bump()', 'SELECT 1']), ['choose primary', 'stay']);
    assert.deepEqual(steps('BEGIN READ ONLY', ['SET TRANSACTION READ WRITE']), ['choose primary']);
    assert.deepEqual(steps('BEGIN READ ONLY', ['SET transaction_read_only = off']), ['choose primary']);
    assert.deepEqual(steps('BEGIN READ ONLY', ["SET TRANSACTION SNAPSHOT 'x'"]), ['choose primary']);
    assert.deepEqual(steps('BEGIN READ ONLY, ISOLATION LEVEL SERIALIZABLE', ['SELECT 1']), ['choose primary']);
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT 1'], { ...DEFAULTS, isolation: 'serializable' }), [
      'choose primary',
    ]);
  });

  test('moves to the primary while it has no snapshot of its own', () => {
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT 1', 'SELECT pg_advisory_lock(1)', 'SELECT 1']), [
      'choose any',
      'move',
      'stay',
    ]);
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT 1', 'SET TRANSACTION READ WRITE']), ['choose any', 'move']);
  });

  test('is refused what it would have to move for, when it cannot', () => {
    const repeatable = 'BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ';
    assert.deepEqual(steps(repeatable, ['SELECT 1', 'SELECT pg_advisory_lock(1)']), ['choose any', '25006']);
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT 1', 'SAVEPOINT a', 'SELECT bump()']), [
      'choose any',
      'stay',
      '25006',
    ]);
    const withCursor = ['SELECT 1', 'DECLARE c CURSOR FOR SELECT 1', 'FETCH 1 FROM c', 'SELECT bump()'];
    assert.deepEqual(steps('BEGIN READ ONLY', withCursor), ['choose any', 'stay', 'stay', '25006']);
  });

  test('may begin with settings, which hide nothing beside them', () => {
    assert.deepEqual(steps('BEGIN READ ONLY', ['SET LOCAL work_mem = 1', 'SELECT a FROM t']), ['choose any', 'stay']);
    assert.deepEqual(steps('BEGIN READ ONLY', ['SET LOCAL work_mem = 1; SELECT bump()']), ['choose primary']);
    const hidden = 'SET LOCAL work_mem = 1; SELECT pg_advisory_lock(1)';
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT 1', hidden]), ['choose any', 'move']);
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT 1', "LOAD 'x'"]), ['choose any', 'move']);
  });

  test('keeps state of the session on its replica', () => {
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT 1', 'SET LOCAL work_mem = 1', 'SHOW work_mem', 'ROLLBACK']), [
      'choose any',
      'stay',
      'stay',
      'stay',
    ]);
  });

  test('that is prepared for two phases is not on a replica', () => {
    assert.deepEqual(steps('BEGIN READ ONLY', ['SELECT 1', "PREPARE TRANSACTION 'x'"]), ['choose any', 'move']);
  });
});
