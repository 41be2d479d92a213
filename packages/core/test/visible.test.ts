// Goal: no text of others can steer a terminal or hide in it. Method: every hostile kind by name, then properties over all of Unicode.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { visible, visibleLine } from '../src/index.ts';

const hostile: readonly (readonly [kind: string, text: string, shown: string])[] = [
  ['title of the window', 'r\u001b]0;pwned\u0007', 'r\\x1b]0;pwned\\x07'],
  ['colour and concealment', '\u001b[8mx\u001b[0m', '\\x1b[8mx\\x1b[0m'],
  ['8-bit control sequence', '\u009b2Jx', '\\u009b2Jx'],
  ['return to the start of the line', 'bad\rgood', 'bad\\x0dgood'],
  ['backspaces', 'ab\b\bcd', 'ab\\x08\\x08cd'],
  ['DEL, NUL, next line', '\u007f\u0000\u0085', '\\u007f\\x00\\u0085'],
  ['right to left override', 'a\u202egpj.exe', 'a\\u202egpj.exe'],
  ['isolates', '\u2066a\u2069', '\\u2066a\\u2069'],
  ['zero width', 'n\u200b1\u200d\u2060\ufeff', 'n\\u200b1\\u200d\\u2060\\ufeff'],
  ['separators of lines and paragraphs', 'a\u2028b\u2029', 'a\\u2028b\\u2029'],
  ['soft hyphen, fillers', '\u00ad\u115f\u3164', '\\u00ad\\u115f\\u3164'],
  ['tags beyond the first plane', 'n1\u{e0041}', 'n1\\udb40\\udc41'],
];

for (const [kind, text, shown] of hostile) {
  test(`${kind}: shown, not sent`, () => assert.equal(visible(text), shown));
}

test('letters of all scripts, line breaks and tabs stay', () => {
  const text = 'äöü 漢字 עברית हिन्दी 🙂\tzwei\nдрей';
  assert.equal(visible(text), text);
  assert.equal(visibleLine('a\nb\tc'), 'a\\nb\\tc');
});

test('whatever the text: no control is left, a second time changes nothing, JSON stays the same value', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 12 }), (text) => {
      assert.doesNotMatch(visible(text), /[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/u);
      assert.doesNotMatch(visibleLine(text), /\p{Cc}/u);
      assert.equal(visible(visible(text)), visible(text));
      assert.deepEqual(JSON.parse(visible(JSON.stringify([text]))), [text]);
    }),
    { numRuns: 300 },
  );
});
