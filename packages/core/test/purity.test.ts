/** Goal: `core` stays values in, values out. Method: its sources are read as text; the lint rule of the repository says the same. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..', 'src');
const SOURCES = globSync('**/*.ts', { cwd: ROOT }).map((file) => ({
  file,
  text: readFileSync(join(ROOT, file), 'utf8'),
}));

/** Without comments and the texts that people read: words in them are no code. */
function codeOf(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''")
    .replace(/`(?:[^`\\]|\\.)*`/g, (template) => (template.match(/\$\{[^}]*\}/g) ?? []).join(' '));
}

const FORBIDDEN =
  /\b(Date|performance|process|globalThis|global|Promise|async|await|fetch|setTimeout|setInterval|setImmediate|queueMicrotask|crypto|console|require|WeakRef|Intl|navigator|Buffer)\b|\bMath\s*\.\s*random\b|\bimport\s*\(|\.then\s*\(/;

test('there are sources to look at', () => {
  assert.ok(SOURCES.length > 20);
});

for (const { file, text } of SOURCES) {
  test(`${file} imports brands and files of core only, and uses nothing of the outside world`, () => {
    for (const [, source = ''] of text.matchAll(/\bfrom\s+['"]([^'"]+)['"]|^import\s+['"]/gm)) {
      if (source === '@understudy/base/brands') continue;
      assert.match(source, /^\.{1,2}\/.*\.ts$/);
      assert.ok(!join(file, '..', source).startsWith('..'), `${source} is outside of core`);
    }
    const found = FORBIDDEN.exec(codeOf(text));
    assert.equal(found, null, `uses ${found?.[0]}`);
  });
}

test('the check itself sees what it looks for', () => {
  for (const bad of [
    'const t = Date.now();',
    'Math.random()',
    'x.then (f)',
    'await y',
    "import('x')",
    '`$' + '{process.pid}`',
  ]) {
    assert.match(codeOf(bad), FORBIDDEN);
  }
  for (const good of ["'a Date'", '// the process', '/* fetch */', '`at this Date`', 'const update = 1;', 'updated']) {
    assert.doesNotMatch(codeOf(good), FORBIDDEN);
  }
});
