import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { importsOf } from './import-lines.ts';
import type { CheckResult } from './result.ts';

const namesSchema = z.record(z.string(), z.string()).default({});
const manifestSchema = z.object({ dependencies: namesSchema, optionalDependencies: namesSchema });

/**
 * In a checkout every package finds every other one; a published package finds only what it names. So what the sources import
 * must be in the package's own dependencies.
 */
export async function checkDependencies(root: string): Promise<CheckResult> {
  const problems = globSync('packages/*/package.json', { cwd: root }).flatMap((manifestFile) => {
    const folder = dirname(manifestFile);
    const { dependencies, optionalDependencies } = manifestSchema.parse(readJson(join(root, manifestFile)));
    const declared = new Set([...Object.keys(dependencies), ...Object.keys(optionalDependencies)]);
    const files = globSync('{src,bin}/**/*.{ts,js}', { cwd: join(root, folder) });
    const imported = new Map(files.flatMap((file) => packagesOf(join(root, folder, file)).map((name) => [name, file])));
    return [...imported]
      .filter(([name]) => !declared.has(name) && name !== `@understudy/${basename(folder)}`)
      .map(([name, file]) => `${folder}/${file} imports ${name}, which ${manifestFile} does not name in dependencies.`);
  });
  return { problems, notes: [] };
}

/** Names of the npm packages that a file imports: `fastify`, `@scope/name`. */
function packagesOf(path: string): string[] {
  const bare = importsOf(readFileSync(path, 'utf8')).filter((name) => !/^(\.|\/|node:)/.test(name));
  return bare.map((name) =>
    name
      .split('/')
      .slice(0, name.startsWith('@') ? 2 : 1)
      .join('/'),
  );
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}
