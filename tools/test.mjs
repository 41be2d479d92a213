// `npm test`: installs everything, development dependencies too, then runs the checks and tests under Node 24.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './lib/install.mjs';
import { continueAs } from './lib/launch.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

try {
  await ensureInstalled(root, { dev: true });
  continueAs(root, 'tools/test/main.ts', process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n0 passed, 1 failed\n`);
  process.exitCode = 1;
}
