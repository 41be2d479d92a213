/** Goal: `docs/reasons.md` and the code name the same reasons. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LEADERSHIP_CAUSES, REASON_CODES } from '../src/index.ts';

const CORE = join(import.meta.dirname, '..', 'src');
const PAGE = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'reasons.md'), 'utf8');
/** Everything that decides: not the values, where the lists themselves are. */
const SOURCE = globSync('**/*.ts', { cwd: CORE })
  .filter((file) => !file.startsWith('values/'))
  .map((file) => readFileSync(join(CORE, file), 'utf8'))
  .join('\n');

/** The rows of the page's tables: first cell, number of the others that say something. */
const rows = [...PAGE.matchAll(/^\| `([a-z-]+)` \|(.*)\|$/gm)].map(([, code = '', rest = '']) => ({
  code,
  cells: rest.split('|').map((cell) => cell.trim()),
}));
const described = (columns: number): readonly string[] =>
  rows.filter(({ cells }) => cells.length === columns).map(({ code }) => code);

test('every reason is described once, with what it means and what can be done', () => {
  assert.deepEqual([...described(2)].sort(), [...REASON_CODES].sort());
  for (const { code, cells } of rows) for (const cell of cells) assert.match(cell, /\w.*\.$/, `${code}: ${cell}`);
});

test('every cause of a leadership is described', () => {
  assert.deepEqual([...described(1)].sort(), [...LEADERSHIP_CAUSES].sort());
});

test('the list of reasons is sorted, and every one of them is given by some decision', () => {
  assert.deepEqual([...REASON_CODES], [...REASON_CODES].sort());
  for (const code of REASON_CODES) {
    const literal = code.startsWith('request-') && code !== 'request-seen' ? '`request-${' : `'${code}'`;
    assert.ok(SOURCE.includes(literal), `${code} occurs nowhere in the protocol`);
  }
});

test('every cause is given by some election', () => {
  for (const cause of LEADERSHIP_CAUSES) assert.ok(SOURCE.includes(`'${cause}'`), cause);
});
