import { execFile } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

const execute = promisify(execFile);
const compileTimeoutMs = 5 * 60_000;

/** What a package of the checkout says about itself; further fields are kept as they are. */
const manifestSchema = z.looseObject({
  name: z.string(),
  version: z.string(),
  exports: z.record(z.string(), z.string()).optional(),
  bin: z.record(z.string(), z.string()).optional(),
});

type Manifest = z.infer<typeof manifestSchema>;

export interface BuiltPackage {
  readonly name: string;
  /** Absolute path of the folder to publish. */
  readonly folder: string;
  readonly hasCommand: boolean;
}

/**
 * Compiles all packages with one run of the compiler and lays each out as it is published: JavaScript with declarations, other
 * files of its sources, its commands, licence and a package.json whose paths name the compiled files.
 *
 * @param targetOf where a package goes, given its folder below root, such as `packages/core`.
 * @throws Error with the compiler's output when it finds an error.
 */
export async function buildAll(root: string, targetOf: (folder: string) => string): Promise<BuiltPackage[]> {
  const output = join(root, '.cache', 'build');
  rmSync(output, { recursive: true, force: true });
  await compile(root);
  const folders = globSync('packages/*/package.json', { cwd: root }).map(dirname).toSorted();
  const built = folders.filter((folder) => existsSync(join(output, basename(folder), 'src')));
  return built.map((folder) => layOut(root, folder, join(output, basename(folder), 'src'), targetOf(folder)));
}

async function compile(root: string): Promise<void> {
  const args = ['-p', 'tsconfig.build.json', '--pretty', 'false'];
  const options = { cwd: root, timeout: compileTimeoutMs, maxBuffer: 64 * 1024 * 1024 };
  await execute(join(root, 'node_modules', '.bin', 'tsc'), args, options).catch((error: unknown) => {
    const text = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
    throw new Error(`The packages do not compile:\n${text}`, { cause: error });
  });
}

function layOut(root: string, folder: string, compiled: string, target: string): BuiltPackage {
  const source = join(root, folder);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  cpSync(compiled, target, { recursive: true });
  for (const file of globSync('**/*', { cwd: join(source, 'src'), exclude: (name) => name.endsWith('.ts') })) {
    if (/\.[a-z0-9]+$/.test(file) && !file.endsWith('.ts')) cpSync(join(source, 'src', file), join(target, file));
  }
  for (const name of ['bin', 'README.md']) {
    if (existsSync(join(source, name))) cpSync(join(source, name), join(target, name), { recursive: true });
  }
  cpSync(join(root, 'LICENSE'), join(target, 'LICENSE'));
  const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')));
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(published(manifest), null, 2)}\n`);
  return { name: manifest.name, folder: target, hasCommand: manifest.bin !== undefined };
}

/** `./src/index.ts` of the checkout is `./index.js` of the published package. What a package has for the tests of others stays here. */
export function published(manifest: Manifest): Record<string, unknown> {
  const shipped = Object.entries(manifest.exports ?? {}).filter(([, path]) => path.startsWith('./src/'));
  const exports = shipped.map(([name, path]) => {
    const base = path.replace(/^\.\/src\//, './').replace(/\.ts$/, '');
    return [name, { types: `${base}.d.ts`, default: `${base}.js` }];
  });
  const { private: _private, devDependencies: _devDependencies, scripts: _scripts, ...kept } = manifest;
  // A command brings its own Node along; a library has to be imported by one that is new enough.
  const engines = { node: manifest.bin === undefined ? '>=24' : '>=20' };
  return { ...kept, engines, exports: Object.fromEntries(exports) };
}
