import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildAll } from '../build/build.ts';
import { writeSbom } from '../build/sbom.ts';
import { tryBuilt } from '../build/try-built.ts';
import type { CheckResult } from './result.ts';

/** Compiles the packages as for publishing and runs the command from the result; nothing of it is kept. */
export async function checkBuild(root: string): Promise<CheckResult> {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-build-'));
  try {
    const packages = await buildAll(root, (name) => join(folder, name));
    await writeSbom(root, packages);
    const version = await tryBuilt(root, packages);
    return /\d+\.\d+\.\d+/.test(version)
      ? { problems: [], notes: [] }
      : { problems: [`--version printed ${version}`], notes: [] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
