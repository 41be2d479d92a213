import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFiles } from './files.ts';
import type { CheckResult } from './result.ts';

const linesWarned = 450;
const linesMax = 600;

/** A source file that has grown too long usually has more than one reason to change. */
export async function checkSizes(root: string): Promise<CheckResult> {
  const sizes = projectFiles(root)
    .filter((file) => /^(packages\/[^/]+\/src|tools)\/.*\.(ts|mjs|js)$/.test(file))
    .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1 }));
  const describe = ({ file, lines }: { file: string; lines: number }): string => `${file} has ${lines} lines`;
  return {
    problems: sizes
      .filter(({ lines }) => lines > linesMax)
      .map((size) => `${describe(size)}; the limit is ${linesMax}. Split it.`),
    notes: sizes.filter(({ lines }) => lines > linesWarned && lines <= linesMax).map(describe),
  };
}
