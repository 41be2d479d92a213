// `node tools/run.mjs [--dev] SCRIPT ARGS…`: installs what is missing, then runs a TypeScript file under Node 24.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './lib/install.mjs';
import { continueAs } from './lib/launch.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const given = process.argv.slice(2);
const dev = given[0] === '--dev';
const [script, ...args] = dev ? given.slice(1) : given;

try {
  if (script === undefined) throw new Error('Usage: node tools/run.mjs [--dev] SCRIPT ARGS…');
  await ensureInstalled(root, { dev });
  continueAs(root, script, args);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
