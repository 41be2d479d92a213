import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** The version of this package: its manifest lies beside the compiled files, or one folder above the sources. */
export function versionOf(): string {
  for (const folder of [here, dirname(here)]) {
    const file = join(folder, 'package.json');
    if (!existsSync(file)) continue;
    const manifest: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof manifest !== 'object' || manifest === null || !('name' in manifest) || !('version' in manifest))
      continue;
    if (manifest.name === '@understudy/cli') return String(manifest.version);
  }
  return 'unknown';
}
