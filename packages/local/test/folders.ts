import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

/** A new folder that is removed after the test. */
export async function temporaryFolder(test: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'us-local-'));
  // Servers may run as another user.
  await chmod(folder, 0o755);
  test.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** How `understudy` is run in this checkout. */
export const understudyCommand = [process.execPath, fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url))];
