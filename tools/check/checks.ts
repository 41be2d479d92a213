import { checkBuild } from './build.ts';
import { run } from './command.ts';
import { checkDependencies } from './dependencies.ts';
import { checkImports } from './imports.ts';
import { checkLinks } from './links.ts';
import { checkNames } from './names.ts';
import type { CheckResult } from './result.ts';
import { checkRuleLabels } from './rule-labels.ts';
import { checkSizes } from './sizes.ts';
import { checkTerminal } from './terminal.ts';

export interface Check {
  readonly name: string;
  readonly run: (root: string) => Promise<CheckResult>;
}

/** Every static check of the repository, in the order in which they are run. */
export const checks: readonly Check[] = [
  { name: 'check/types', run: (root) => run(root, 'tsc', ['-p', 'tsconfig.json', '--pretty', 'false']) },
  {
    name: 'check/lint-and-format',
    run: (root) => run(root, 'biome', ['ci', '--colors=off', '--max-diagnostics=200', '--error-on-warnings']),
  },
  { name: 'check/imports', run: checkImports },
  { name: 'check/dependencies', run: checkDependencies },
  { name: 'check/file-sizes', run: checkSizes },
  { name: 'check/private-names', run: checkNames },
  { name: 'check/terminal', run: checkTerminal },
  { name: 'check/links', run: checkLinks },
  { name: 'check/rule-labels', run: checkRuleLabels },
  { name: 'check/build', run: checkBuild },
];
