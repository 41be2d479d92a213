// Goal: the direction of imports is enforced. Method: sources as values, each with one violation or none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf } from './import-lines.ts';
import { importProblems, readSource } from './imports.ts';

function problemsOf(files: Readonly<Record<string, string>>): string[] {
  return importProblems(Object.entries(files).map(([path, text]) => readSource(path, text)));
}

test('every way of importing is seen, and comments and texts are not', () => {
  const text = [
    "import a from './a.ts';",
    "import type { B } from './b.ts';",
    "import {\n  c,\n  type D,\n} from './c.ts';",
    "export * from './d.ts';",
    "export { e } from './e.ts';",
    "import './f.ts';",
    "const g = await import('./g.ts');",
    "// import x from './x.ts'",
    "/* import y from './y.ts' */",
    "const text = `import z from './z.ts'`;",
    "const address = 'https://example.invalid/'; import h from './h.ts';",
  ].join('\n');
  const expected = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => `./${name}.ts`);
  assert.deepEqual(importsOf(text).toSorted(), expected);
});

test('the allowed directions are allowed', () => {
  const files = {
    'packages/store/src/a.ts':
      "import { x } from '@understudy/core'; import { readFile } from 'node:fs'; import './b.ts';",
    'packages/store/src/b.ts': "import type { X } from 'zod';",
    'packages/agent/src/a.ts': "import '@understudy/store'; import '@understudy/engine'; import '@understudy/core';",
    'packages/core/test/a.test.ts': "import test from 'node:test'; import '../src/a.ts';",
    'packages/core/src/a.ts': "import type { Brand } from '@understudy/base/brands';",
    'packages/routing/src/runtime/load.ts':
      "import 'libpg-query'; import 'node:crypto'; import type { A } from '../a.ts';",
    'packages/routing/src/a.ts': '',
    'tools/x.ts': "import '@understudy/servers';",
  };
  assert.deepEqual(problemsOf(files), []);
});

const forbidden: readonly (readonly [string, string, string, RegExp])[] = [
  ['core imports another package', 'packages/core/src/a.ts', "import '@understudy/store';", /core may import base/],
  [
    'core imports a type of another package',
    'packages/core/src/a.ts',
    "import type { X } from '@understudy/engine';",
    /may import/,
  ],
  ['core reads a clock', 'packages/core/src/a.ts', "import { monotonicMs } from '@understudy/base';", /reads clocks/],
  ['core does I/O', 'packages/core/src/a.ts', "import { readFile } from 'node:fs';", /does I\/O/],
  [
    'a pure package takes from its own impure folder',
    'packages/routing/src/a.ts',
    "import { load } from './runtime/load.ts';",
    /Take what it makes as an argument/,
  ],
  ['routing imports from npm outside of it', 'packages/routing/src/a.ts', "import 'libpg-query';", /is not ours/],
  ['core imports from npm', 'packages/core/src/a.ts', "import { z } from 'zod';", /is not ours/],
  ['core draws a random number', 'packages/core/src/a.ts', 'export const x = Math.random();', /Math.random/],
  ['the agent knows an engine', 'packages/agent/src/a.ts', "import '@understudy/postgres';", /agent may import/],
  ['a store knows the agent', 'packages/store/src/a.ts', "import '@understudy/agent';", /store may import core/],
  [
    'around an entry point',
    'packages/store/src/a.ts',
    "import '@understudy/core/src/x.ts';",
    /Import what @understudy\/core exports/,
  ],
  ['relative into another package', 'packages/store/src/a.ts', "import '../../core/src/x.ts';", /outside its package/],
  ['a source imports from tests', 'packages/store/src/a.ts', "import '../test/help.ts';", /must not import from tests/],
  [
    'a source uses what is for tests',
    'packages/postgres/src/a.ts',
    "import '@understudy/engine/conformance';",
    /is for tests and not published/,
  ],
  ['a package without a rule', 'packages/new/src/a.ts', '', /has no rule/],
];

for (const [name, path, text, message] of forbidden) {
  test(`refused: ${name}`, () => {
    const problems = problemsOf({ [path]: text });
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', message);
    assert.ok(problems[0]?.startsWith(`${path}: `));
  });
}

test('files of a server are reached through one place only', () => {
  const files = {
    'packages/postgres/src/maintain.ts': "import { truncate } from 'node:fs/promises';",
    'packages/mysql/src/clone/clone.ts': "const { rm } = await import('fs');",
    'packages/postgres/src/index.ts': "import { access } from 'node:fs/promises';",
    'packages/postgres/test/a.test.ts': "import { readFile } from 'node:fs/promises';",
  };
  const problems = problemsOf(files);
  assert.equal(problems.length, 2);
  for (const [index, name] of ['packages/postgres/src/maintain.ts', 'packages/mysql/src/clone/clone.ts'].entries()) {
    assert.match(problems[index] ?? '', new RegExp(`^${name}: .*engine/host`));
  }
});
