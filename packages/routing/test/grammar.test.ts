/** Goal: the parser survives what it is given, and says when it is not there. Method: the texts that fell others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadPgGrammar } from '../src/runtime/index.ts';

const grammar = await loadPgGrammar();

test('is PostgreSQL: a tree for SQL, a message for anything else', () => {
  assert.equal(grammar.parse('SELECT 1').kind, 'tree');
  assert.deepEqual(grammar.parse('SELEC 1'), { kind: 'rejected', message: 'syntax error at or near "SELEC"' });
  assert.deepEqual(grammar.parse(''), { kind: 'tree', statements: [] });
});

test('takes nothing behind a zero byte for looked at', () => {
  assert.equal(grammar.parse('SELECT 1\u0000; DELETE FROM t').kind, 'rejected');
});

test('lone surrogates and long names do not fell it', () => {
  assert.equal(grammar.parse("SELECT '\ud800'").kind, 'tree');
  assert.equal(grammar.parse(`SELECT ${'x'.repeat(100_000)}`).kind, 'tree');
});

test('a fault inside costs one instance: the next one is there soon, and is as good', async () => {
  const deep = `SELECT ${'1+('.repeat(60_000)}1${')'.repeat(60_000)}`;
  const wide = `SELECT 1${'+1'.repeat(200_000)}`;
  for (const text of [deep, wide]) assert.notEqual(grammar.parse(text).kind, 'tree');
  const deadlineMs = performance.now() + 10_000;
  while (grammar.parse('SELECT 1').kind === 'unavailable') {
    assert.ok(performance.now() < deadlineMs, 'no new instance');
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(grammar.parse('SELECT a FROM t').kind, 'tree');
});
