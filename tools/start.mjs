// `npm start`: installs what is missing, then `understudy up` with the same arguments.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './lib/install.mjs';
import { continueAs } from './lib/launch.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

try {
  await ensureInstalled(root, { dev: false });
  continueAs(root, 'packages/cli/src/main.ts', ['up', ...process.argv.slice(2)]);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
