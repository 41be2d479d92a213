import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { BuiltPackage } from './build.ts';

const execute = promisify(execFile);
const timeoutMs = 60_000;
const fileName = 'sbom.cdx.json';

const componentSchema = z.looseObject({
  name: z.string(),
  version: z.string(),
  purl: z.string(),
  hashes: z.array(z.object({ alg: z.string(), content: z.string() })).optional(),
});
const sbomSchema = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  metadata: z.looseObject({ component: z.looseObject({ name: z.string() }) }),
  components: z.array(componentSchema).min(1),
});
export type Sbom = z.infer<typeof sbomSchema>;

/**
 * Writes what the product consists of, as CycloneDX, beside the command: `sbom.cdx.json`. It is made from the lockfile alone, so that
 * it says what is installed by it, and names no registry.
 *
 * @returns the files written
 * @throws Error when npm cannot make it, or a component of others has no digest
 */
export async function writeSbom(root: string, packages: readonly BuiltPackage[]): Promise<readonly string[]> {
  const sbom = await makeSbom(root);
  const problems = sbomProblems(sbom);
  if (problems.length > 0) throw new Error(`The list of components is not whole:\n${problems.join('\n')}`);
  return packages
    .filter(({ hasCommand }) => hasCommand)
    .map(({ folder }) => {
      const file = join(folder, fileName);
      writeFileSync(file, `${JSON.stringify(sbom, null, 2)}\n`);
      return file;
    });
}

async function makeSbom(root: string): Promise<Sbom> {
  const args = ['sbom', '--sbom-format=cyclonedx', '--package-lock-only', '--omit=dev', '--loglevel=error'];
  const { stdout } = await execute('npm', args, { cwd: root, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 });
  const sbom = sbomSchema.parse(JSON.parse(stdout));
  // npm takes the name of the folder.
  return { ...sbom, metadata: { ...sbom.metadata, component: { ...sbom.metadata.component, name: 'understudy' } } };
}

/** Components of others that nothing but their name and version says what they are. */
export function sbomProblems({ components }: Sbom): string[] {
  return components.flatMap(({ name, version, purl, hashes = [] }) => {
    const isOurs = purl.startsWith('pkg:npm/%40understudy/') || purl.startsWith('pkg:npm/understudy-');
    const isPinned = hashes.some(({ alg, content }) => alg === 'SHA-512' && /^[0-9a-f]{128}$/.test(content));
    return isOurs || isPinned
      ? []
      : [`${name} ${version} has no SHA-512 in package-lock.json. Run npm install, and commit it.`];
  });
}
