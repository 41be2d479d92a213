import { globSync } from 'node:fs';
import { sep } from 'node:path';

/** In which order and how many at once: values are cheap, real servers are not, drills want the machine for themselves. */
export type Group = 'value' | 'real' | 'alone';

export interface TestFile {
  readonly file: string;
  /** `packages/core/test/lsn.test.ts` → `core/lsn.test.ts`. */
  readonly name: string;
  readonly group: Group;
}

const places = ['packages/*/test/**/*.test.ts', 'tests/**/*.test.ts', 'tools/**/*.test.ts'];

/** All test files of the checkout, in the order in which they are started. */
export function findTestFiles(root: string): TestFile[] {
  const files = globSync(places, { cwd: root, exclude: (path) => path.split(sep).includes('node_modules') });
  return files.toSorted().map((file) => ({ file, name: nameOf(file), group: groupOf(file) }));
}

function nameOf(file: string): string {
  return file.replace(/^packages\//, '').replace(/^([^/]+)\/test\//, '$1/');
}

function groupOf(file: string): Group {
  if (!file.endsWith('.real.test.ts')) return 'value';
  return file.startsWith('packages/drill/') ? 'alone' : 'real';
}
