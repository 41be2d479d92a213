/**
 * Goal: no statement that is not a confirmed read is classed as one. Method: generated statements that are known to be reads or not, in
 * disguises and with hints that lie. The classes of reads are checked too: a classifier that says `primary` to all would pass otherwise.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_PG_SESSION, mergeClassifications } from '../src/index.ts';
import { classify, GRAMMAR, newClassifier } from './support/catalog.ts';
import { aStatement, disguised } from './support/sql.ts';

test('a generated statement may go to a replica exactly if all its parts only read', () => {
  fc.assert(
    fc.property(aStatement, disguised, ({ text, isRead }, disguise) => {
      const written = disguise(text.replaceAll('«n»', '7'));
      const { node, reason, detail } = newClassifier().classify(written, DEFAULT_PG_SESSION);
      assert.equal(node, isRead ? 'any' : 'primary', `${written}: ${reason} ${detail}`);
    }),
    { numRuns: 1500 },
  );
});

test('statements that go together are a read only if each of them is one', () => {
  fc.assert(
    fc.property(fc.array(aStatement, { minLength: 1, maxLength: 4 }), (list) => {
      const merged = mergeClassifications(list.map(({ text }) => classify(text.replaceAll('«n»', '7'))));
      assert.equal(
        merged.node === 'any',
        list.every(({ isRead }) => isRead),
      );
    }),
    { numRuns: 300 },
  );
});

test('random text is never taken for a read unless the grammar takes it for one', () => {
  const words = fc.constantFrom(
    'SELECT',
    'FROM',
    't',
    'DELETE',
    '(',
    ')',
    ';',
    "'",
    '"',
    '--',
    '/*',
    '*/',
    '$$',
    'bump()',
    '1',
    ',',
    'WITH',
    'AS',
    'x',
    'E',
    '\\',
    '\n',
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 12 }), fc.constantFrom('', ' '), (list, gap) => {
      const text = list.join(gap);
      const { node } = classify(text);
      if (node === 'any') assert.doesNotMatch(JSON.stringify(GRAMMAR.parse(text)), /DeleteStmt|"bump"|rejected/, text);
    }),
    { numRuns: 3000 },
  );
});
