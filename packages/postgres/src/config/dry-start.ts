import { randomBytes } from 'node:crypto';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { monotonicMs } from '@understudy/base';
import {
  makeFolder,
  namesIn,
  type Owner,
  readBytes,
  readIfThere,
  removeTree,
  replaceFile,
} from '@understudy/engine/host';
import { quoteSetting } from '../names.ts';
import type { PostgresOptions } from '../options.ts';
import { includeName } from '../paths.ts';
import { runProgram, tail } from '../process/program.ts';

const timeoutMs = 8_000;
const folderPattern = /^dry-[0-9a-f]{12}$/;
const cached = { durability: 'cached' } as const;

export interface DryStart {
  /** The settings as the include would have them. */
  readonly parameters: Readonly<Record<string, string>>;
  /** What the command line would fix. */
  readonly fixed: readonly string[];
  /** Whether what ALTER SYSTEM has set takes part. */
  readonly alterSystem: 'with' | 'without';
  /** When the look must be over, monotonic: it is one of several. */
  readonly endMs: number;
}

/** Removes what an agent that was killed during a dry start has left: copies of the operator's files. */
export async function removeDryStarts(runDir: string): Promise<void> {
  const names = (await namesIn(runDir).catch(() => [])).filter((name) => folderPattern.test(name));
  await Promise.all(names.map((name) => removeTree(join(runDir, name))));
}

/**
 * Whether the server would start with these settings: the server's program reads them and loads their libraries (`postgres -C` of a value that
 * is known only then), in a folder of its own with nothing but the control file. Neither data nor a running server is touched.
 *
 * @returns what the server says about them; null when it would start.
 */
export async function dryStart(
  options: Pick<PostgresOptions, 'runDir' | 'dataDir' | 'binaries'>,
  owner: Owner,
  wanted: DryStart,
): Promise<string | null> {
  await makeFolder(options.runDir, owner);
  const folder = join(options.runDir, `dry-${randomBytes(6).toString('hex')}`);
  try {
    await furnish(folder, options.dataDir, owner, wanted);
    const args = ['-D', folder, ...wanted.fixed, '-C', 'shared_memory_size'];
    const { code, output } = await runProgram(join(options.binaries.binDir, 'postgres'), args, {
      home: '/',
      libraryPath: options.binaries.libraryPath,
      owner,
      timeoutMs: Math.max(1, Math.min(timeoutMs, Math.round(wanted.endMs - monotonicMs()))),
      failure: 'ENGINE_TIMEOUT',
    });
    if (code !== 0) return sentenceOf(output);
    const needed = Number(/^(\d+)\s*$/m.exec(output)?.[1] ?? 0);
    const present = Math.floor(totalmem() / 1024 ** 2);
    return needed < present ? null : `it would need ${needed} MB of shared memory, and this host has ${present} MB`;
  } finally {
    await removeTree(folder);
  }
}

/** Makes what the program looks for in a data directory. */
async function furnish(folder: string, dataDir: string, owner: Owner, wanted: DryStart): Promise<void> {
  await makeFolder(folder, owner);
  await makeFolder(join(folder, 'global'), owner);
  for (const name of ['PG_VERSION', join('global', 'pg_control')]) {
    await replaceFile(join(folder, name), await readBytes(join(dataDir, name)), owner, cached);
  }
  const own = ownConf(dataDir, (await readIfThere(join(dataDir, 'postgresql.conf'))) ?? '');
  const lines = Object.entries(wanted.parameters).map(([name, value]) => `${name} = ${quoteSetting(value)}\n`);
  await replaceFile(join(folder, 'postgresql.conf'), own + lines.join(''), owner, cached);
  const system = wanted.alterSystem === 'with' ? await readIfThere(join(dataDir, 'postgresql.auto.conf')) : null;
  await replaceFile(join(folder, 'postgresql.auto.conf'), system ?? '', owner, cached);
}

/** The operator's own file, without our include, and with the places of the others written out. */
function ownConf(dataDir: string, text: string): string {
  const lines = text.split('\n').filter((line) => !line.includes(includeName));
  const placed = lines.map((line) =>
    line.replace(
      /^(\s*include(?:_if_exists|_dir)?\s*=?\s*')([^/'][^']*')/i,
      (_, before: string, path: string) => `${before}${dataDir}/${path}`,
    ),
  );
  return `${placed.join('\n')}\n`;
}

/** What a failed start says of its reason: its last grave line, whatever was logged after it. */
export function sentenceOf(output: string): string {
  const lines = output
    .split(/[\r\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const grave = lines.findLast(
    (line) => /\b(FATAL|PANIC|ERROR):/.test(line) && !/configuration file .* contains errors/.test(line),
  );
  const named = grave ?? lines.findLast((line) => /^\S*postgres: /.test(line)) ?? null;
  const text = named === null ? tail(output) : named.replace(/^.*?\b(?:FATAL|PANIC|ERROR):\s*/, '');
  const hint =
    named === null ? undefined : lines.slice(lines.indexOf(named) + 1).find((line) => /\b(DETAIL|HINT):/.test(line));
  return (hint === undefined ? text : `${text} (${hint.replace(/^.*?\b(?:DETAIL|HINT):\s*/, '')})`).slice(0, 500);
}
