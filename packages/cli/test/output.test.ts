// Goal: the small tools of the output hold their promises for every input. Method: properties and examples.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { diffLines } from '../src/output/diff.ts';
import { toTerminal } from '../src/output/escapes.ts';
import { cutVisible } from '../src/output/screen.ts';
import { COLOURED, styleFor, visibleWidth } from '../src/output/style.ts';
import { formatBytes, formatDuration, truncate, wrap } from '../src/output/text.ts';
import { duration, integer, moment } from '../src/tree/define.ts';

test('durations and sizes as people say them', () => {
  const shown = [0, 999, 1000, 9949, 9950, 59_499, 65_000, 3_600_000, 90_000_000].map(formatDuration);
  assert.deepEqual(shown, ['0 ms', '999 ms', '1 s', '9.9 s', '10 s', '59 s', '1 min 5 s', '1 h', '1 d 1 h']);
  const sizes = [0, 1023, 1024, 1536, 16 * 1024 ** 2, 150 * 1024, 5 * 1024 ** 4 * 1024].map(formatBytes);
  assert.deepEqual(sizes, ['0 B', '1023 B', '1 KiB', '1.5 KiB', '16 MiB', '150 KiB', '5120 TiB']);
});

test('wrapped text keeps its words and its width', () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(words, fc.integer({ min: 12, max: 60 }), (list, width) => {
      const lines = wrap(list.join(' '), width);
      assert.equal(lines.join(' '), list.join(' '));
      for (const line of lines) assert.ok(line.length <= width);
    }),
  );
});

test('cutting a decorated line keeps its width and closes its decoration', () => {
  const line = `${COLOURED.red('abcdef')} ${COLOURED.bold('ghijkl')}`;
  for (let width = 1; width < 20; width++) assert.ok(visibleWidth(cutVisible(line, width)) <= width);
  assert.ok(toTerminal(cutVisible(line, 4)).includes('\u001b[39m'));
  assert.equal(truncate('abc', 3), 'abc');
  assert.equal(truncate('abcd', 3), 'ab…');
});

test('a difference leads from the one text to the other, whichever they are', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const diff = diffLines(before, after);
      assert.deepEqual(
        diff.filter(({ kind }) => kind !== 'added').map(({ text }) => text),
        before,
      );
      assert.deepEqual(
        diff.filter(({ kind }) => kind !== 'removed').map(({ text }) => text),
        after,
      );
    }),
  );
  assert.deepEqual(
    diffLines(['a'], ['a']).map(({ kind }) => kind),
    ['same'],
  );
});

test('durations, numbers and moments are read, and nonsense is refused', () => {
  const read = duration(100, 60_000);
  assert.deepEqual(['500ms', '10s', '10', '1min', '0.5s'].map(read), [500, 10_000, 10_000, 60_000, 500]);
  for (const wrong of ['', 'x', '-1s', '10 years', '50ms', '2h']) assert.throws(() => read(wrong), /duration like/);
  assert.equal(integer(1, 9)('9'), 9);
  for (const wrong of ['0', '10', '1.5', 'three', '']) assert.throws(() => integer(1, 9)(wrong), /whole number/);
  const now = Date.parse('2026-11-21T10:00:00Z');
  const at = moment(() => now);
  assert.equal(at('2027-01-31T03:00:00+01:00'), '2027-01-31T02:00:00.000Z');
  assert.equal(at('+10min'), '2026-11-21T10:10:00.000Z');
  const next = Date.parse(at('03:00'));
  assert.ok(next > now && next - now <= 86_400_000);
  for (const wrong of ['tomorrow', '2027-01-31T03:00:00', '25:00', '2027-13-01T00:00:00Z'])
    assert.throws(() => at(wrong), /Write 2027/);
});

test('colour: on a terminal, never where NO_COLOR or --no-color says so, in a pipe only when forced', () => {
  const sink = (isTTY: boolean) => ({
    isTTY,
    columns: () => 80,
    rows: () => 24,
    write: () => undefined,
    onResize: () => () => undefined,
  });
  const isColoured = (isTTY: boolean, env: Record<string, string>, choice: 'automatic' | 'never' = 'automatic') =>
    styleFor(sink(isTTY), env, choice) === COLOURED;
  assert.equal(isColoured(true, {}), true);
  assert.equal(isColoured(false, {}), false);
  assert.equal(isColoured(true, { NO_COLOR: '1' }), false);
  assert.equal(isColoured(true, { TERM: 'dumb' }), false);
  assert.equal(isColoured(true, {}, 'never'), false);
  assert.equal(isColoured(false, { FORCE_COLOR: '1' }), true);
  assert.equal(isColoured(false, { FORCE_COLOR: '1', NO_COLOR: '1' }), false);
});
