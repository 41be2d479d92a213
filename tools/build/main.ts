import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAll } from './build.ts';
import { writeSbom } from './sbom.ts';
import { tryBuilt } from './try-built.ts';

// `npm run build`: compiles every package into packages/*/dist, ready for `npm publish packages/NAME/dist`, and tries the result.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

try {
  const packages = await buildAll(root, (folder) => join(root, folder, 'dist'));
  for (const { name, folder } of packages) process.stdout.write(`built ${name} in ${folder}\n`);
  for (const file of await writeSbom(root, packages)) process.stdout.write(`components listed in ${file}\n`);
  process.stdout.write(`understudy --version, from the built packages: ${await tryBuilt(root, packages)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
