// Goal: a rule or page that is cited and does not exist is found. Method: lines as values, each with one citation.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { citationProblems, headingsOf, missingPaths } from './rule-labels.ts';

const headings = headingsOf(
  '# Rules\n\n## Leadership\n\n### C1 One record\n\n### C14 In force\n\n### P7 Received log\n',
);
const pages = new Set(['protocol.md']);
const problems = (line: string) => citationProblems('a.ts', line, headings, pages);

test('headings: every label of the page, and nothing else', () => {
  assert.deepEqual([...headings], ['C1', 'C14', 'P7']);
});

test('labels with a heading, and pages that exist, are accepted', () => {
  for (const line of [
    '/** Before it opens (C14). */',
    'known once the log was read (C1, P7)',
    'see `protocol.md`, `docs/protocol.md`',
    'control characters (C0, DEL, C1)',
    "curve: 'P-256', hash C15f, patroni/patroni#C99",
  ])
    assert.deepEqual(problems(line), [], line);
});

test('a label without a heading is reported with its place, in code and in prose', () => {
  assert.deepEqual(problems('fine\n * released (C15).'), ['a.ts:2 cites C15, which has no heading in docs/rules.md.']);
  assert.equal(problems('(C1.3)').length, 1);
  assert.equal(problems('C10–C12').length, 2);
  assert.equal(problems('before the copy (P14)').length, 1);
});

test('a page that is not in the repository is reported', () => {
  assert.deepEqual(problems('(`design.md` 3)'), ['a.ts:1 cites design.md, which is not in the repository.']);
});

test('a path that a page names and that is not there is reported; a README counts from its package', () => {
  const exists = (path: string): boolean => ['packages/core/src/index.ts', 'docs/a.md'].includes(path);
  const of = (file: string, text: string) => missingPaths(file, text, exists).length;
  assert.equal(of('docs/a.md', 'see `packages/core/src/index.ts`, `docs/a.md`, `docs/*.md`, `src/x.ts`'), 0);
  assert.equal(of('docs/a.md', 'see `packages/core/src/gone.ts`'), 1);
  assert.equal(of('packages/core/README.md', 'begin at `src/index.ts`'), 0);
  assert.equal(of('packages/core/README.md', 'begin at `src/gone.ts`'), 1);
  assert.equal(of('a.ts', '`packages/core/src/gone.ts`'), 0);
});
