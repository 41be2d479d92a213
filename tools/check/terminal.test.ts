import assert from 'node:assert/strict';
import { test } from 'node:test';
import { terminalProblems } from './terminal.ts';

// Goal: nobody writes to the terminal around the place that makes foreign text harmless. Method: every way there is, in a source.
test('a source that writes to the terminal itself is named, in whichever way', () => {
  const file = 'packages/cli/src/commands/new.ts';
  const ways = [
    'process.stdout.write(name);',
    'process . stderr.write(name)',
    'const { write } = process.stdout;',
    'console.log(name);',
    'console.error(name);',
    'process.emitWarning(name);',
    "spawn(program, { stdio: 'inherit' });",
  ];
  for (const way of ways) assert.equal(terminalProblems(file, `const a = 1;\n${way}\n`).length, 1, way);
});

test('a comment, the place itself and those on the list are left alone', () => {
  assert.deepEqual(
    terminalProblems('packages/cli/src/commands/new.ts', '// process.stdout.write\nprint(context, [name]);'),
    [],
  );
  assert.deepEqual(terminalProblems('packages/cli/src/output/io.ts', 'process.stdout.write(text)'), []);
});
