// Goal: a router without catalogue facts knows which texts may have left something in their session that nobody has seen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPgClassifier, DEFAULT_PG_SESSION, type Knowledge, mergeClassifications } from '../src/index.ts';
import { loadPgGrammar } from '../src/runtime/index.ts';

const classifier = createPgClassifier(await loadPgGrammar());
const classify = (text: string) => classifier.classify(text, DEFAULT_PG_SESSION);

const CASES: readonly (readonly [string, Knowledge])[] = [
  ['insert into t values ($1)', 'full'],
  ['begin', 'full'],
  ['set work_mem = 1', 'full'],
  ['select count(*), lower(a), now() from t', 'full'],
  ["select pg_advisory_lock(1), set_config('work_mem', '1MB', false)", 'full'],
  ['select mine()', 'calls-unknown'],
  ['insert into t select mine()', 'calls-unknown'],
  ['select 1; update t set a = s.mine()', 'calls-unknown'],
  ['call mine()', 'calls-unknown'],
  ['do language plperl $$ 1 $$', 'calls-unknown'],
  ['select what is this from', 'none'],
];

for (const [text, knowledge] of CASES) {
  test(`${text}: ${knowledge}`, () => assert.equal(classify(text).knowledge, knowledge));
}

test('of several texts the least known counts', () => {
  const merged = mergeClassifications(['select 1', 'select mine()', 'not SQL', 'begin'].map(classify));
  assert.equal(merged.knowledge, 'none');
});

test('a text that is read in an uncertain way is not known at all', () => {
  const session = { ...DEFAULT_PG_SESSION, standardConformingStrings: false };
  assert.equal(classifier.classify('select 1', session).knowledge, 'none');
});
