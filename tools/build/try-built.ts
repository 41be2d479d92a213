import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BuiltPackage } from './build.ts';

const execute = promisify(execFile);
const timeoutMs = 60_000;

/**
 * Runs `understudy --version` from the built packages alone, laid out as npm would install them: Node refuses TypeScript below
 * node_modules, so a source that slipped into the result does not run.
 *
 * @returns what the command printed, trimmed.
 * @throws Error when it does not run, or prints nothing.
 */
export async function tryBuilt(root: string, packages: readonly BuiltPackage[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-built-'));
  try {
    installInto(folder, root, packages);
    const command = packages.find(({ hasCommand }) => hasCommand);
    if (!command) throw new Error('No package has a command. Give packages/cli/package.json a bin.');
    const launcher = join(folder, 'node_modules', command.name, 'bin', 'understudy.js');
    const { stdout } = await execute(process.execPath, [launcher, '--version'], { cwd: folder, timeout: timeoutMs });
    if (stdout.trim() === '') throw new Error('understudy --version printed nothing.');
    return stdout.trim();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ours are copied, because Node follows links to where sources are; the others are linked. */
function installInto(folder: string, root: string, packages: readonly BuiltPackage[]): void {
  const modules = join(folder, 'node_modules');
  for (const entry of readdirSync(join(root, 'node_modules'))) {
    if (entry.startsWith('.') || entry === '@understudy') continue;
    mkdirSync(modules, { recursive: true });
    symlinkSync(join(root, 'node_modules', entry), join(modules, entry));
  }
  for (const built of packages) cpSync(built.folder, join(modules, built.name), { recursive: true });
}
