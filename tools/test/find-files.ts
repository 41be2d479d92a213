import { globSync } from 'node:fs';
import { sep } from 'node:path';

/** In which order and how many at once: values are cheap, real servers are not, drills want the machine for themselves. */
export type Group = 'value' | 'real' | 'alone';

export interface TestFile {
  readonly file: string;
  /** `packages/core/test/lsn.test.ts` → `core/lsn.test.ts`. */
  readonly name: string;
  readonly group: Group;
  /** `*.long.test.ts`, `*.long.real.test.ts`: only `npm run test:long`, or a filter, runs them. */
  readonly isLong: boolean;
}

const places = ['packages/*/test/**/*.test.ts', 'tests/**/*.test.ts', 'tools/**/*.test.ts'];

/** Value files that take a minute: begun last, one of them would keep the other cores waiting. */
const begunFirst = ['packages/sim/test/mutants.test.ts', 'packages/sim/test/seeds.test.ts'];

/** All test files of the checkout, in the order in which they are started. */
export function findTestFiles(root: string): TestFile[] {
  const files = globSync(places, { cwd: root, exclude: (path) => path.split(sep).includes('node_modules') });
  const first = files.filter((file) => begunFirst.includes(file));
  const inOrder = [...first.toSorted(), ...files.filter((file) => !first.includes(file)).toSorted()];
  return inOrder.map((file) => ({ file, name: nameOf(file), group: groupOf(file), isLong: isLong(file) }));
}

function nameOf(file: string): string {
  return file.replace(/^packages\//, '').replace(/^([^/]+)\/test\//, '$1/');
}

function isLong(file: string): boolean {
  return /\.long(\.real)?\.test\.ts$/.test(file);
}

function groupOf(file: string): Group {
  if (!file.endsWith('.real.test.ts')) return 'value';
  return file.startsWith('packages/drill/') ? 'alone' : 'real';
}
