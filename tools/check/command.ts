import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { CheckResult } from './result.ts';

const timeoutMs = 10 * 60_000;

/** Runs a program of node_modules/.bin; its output is the problem when it does not end with 0. */
export function run(root: string, program: string, args: readonly string[]): Promise<CheckResult> {
  const path = join(root, 'node_modules', '.bin', program);
  const options = { cwd: root, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve) => {
    execFile(path, args, options, (error, stdout, stderr) => {
      if (!error) resolve({ problems: [], notes: [] });
      else resolve({ problems: [`${stdout}${stderr}`.trim() || error.message], notes: [] });
    });
  });
}
