import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';

const ignored = new Set(['node_modules', '.git', '.cache', 'dist', 'coverage', '.understudy']);

/** Every file of the project, below root: what git tracks or would track; in an unpacked archive, everything. */
export function projectFiles(root: string): string[] {
  try {
    const args = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    const options = { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, stdio } as const;
    return [...new Set(execFileSync('git', args, options).split('\0'))].filter((file) => file !== '').toSorted();
  } catch {
    const found = globSync('**/*', { cwd: root, withFileTypes: true, exclude: ({ name }) => ignored.has(name) });
    return found
      .filter((entry) => entry.isFile())
      .map((entry) => `${entry.parentPath}/${entry.name}`.slice(root.length + 1))
      .toSorted();
  }
}
