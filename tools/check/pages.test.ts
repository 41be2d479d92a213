// Goal: dead links and names that are true on one machine only are found. Method: small pages as values and in a folder.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { linkProblems } from './links.ts';
import { problemsIn } from './names.ts';

test('links: files and headings that exist are accepted, others are reported', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'links-'));
  t.after(() => rm(root, { recursive: true }));
  await mkdir(join(root, 'docs'));
  await writeFile(join(root, 'docs', 'other.md'), '# The `title`, of it\n\n## Twice\n\n## Twice\n');
  const good = [
    '# Here',
    '[a](other.md) [b](other.md#the-title-of-it) [c](#here) [d](/docs/other.md#twice-1) [e](https://example.invalid/x)',
    '[ref]: other.md',
    '```\n[not a link](nothing.md)\n```',
    'and `[neither](nothing.md)` this',
  ].join('\n');
  assert.deepEqual(linkProblems(root, 'docs/page.md', good), []);
  const bad = linkProblems(root, 'docs/page.md', '[a](gone.md) [b](other.md#gone) [c](#gone) [d](../../outside.md)');
  assert.equal(bad.length, 4);
});

test('names: each line that holds one is reported with its number, without repeating it', () => {
  const names = [{ text: 'archive.example.invalid', what: "an archive's host" }];
  assert.deepEqual(problemsIn('a.md', 'fine\nsee archive.example.invalid/x\n', names), [
    "a.md:2 names an archive's host. Take it from the machine's configuration.",
  ]);
  assert.deepEqual(problemsIn('a.md', 'fine\n', names), []);
});
