import type { MysqlOptions } from '../options.ts';
import { runProgram } from '../process/program.ts';
import type { Flavour, ServerPrograms } from '../programs.ts';
import type { Parameters } from './file.ts';

const timeoutMs = 20_000;

/** How each product reads its options and ends, without touching any data. MariaDB's ends well with what it only complains of. */
const dryRuns: Readonly<Record<Flavour, readonly string[]>> = {
  mysql: ['--validate-config', '--secure-file-priv=NULL', '--log-error-verbosity=1'],
  mariadb: ['--verbose', '--help'],
};

/**
 * Lets the server's program read parameters, without starting a server: what it would not start with, by name, in its own words.
 *
 * @param beside parameters that they will be used with: some values are right only together.
 * @throws EngineError `ENGINE_TIMEOUT`, `ENGINE_BINARY_MISSING` when it cannot be run.
 */
export async function rehearse(
  programs: ServerPrograms,
  options: MysqlOptions,
  parameters: Parameters,
  beside: Parameters = {},
): Promise<Readonly<Record<string, string>>> {
  // Names with a dot belong to components, which are not there in a dry run.
  const plain = (some: Parameters): Parameters =>
    Object.fromEntries(Object.entries(some).filter(([name]) => !name.includes('.')));
  const [asked, others] = [plain(parameters), plain(beside)];
  const ask = (some: Parameters): Promise<string | null> => complaint(programs, options, some);
  if (Object.keys(asked).length === 0 || (await ask({ ...others, ...asked })) === null) return {};
  // Something that is wrong already is not theirs.
  const context = (await ask(others)) === null ? others : {};
  const bad: Record<string, string> = {};
  for (const [name, value] of Object.entries(asked)) {
    const words = await ask({ ...context, [name]: value });
    if (words !== null) bad[name] = words;
  }
  return bad;
}

async function complaint(
  programs: ServerPrograms,
  options: MysqlOptions,
  parameters: Parameters,
): Promise<string | null> {
  const given = Object.entries(parameters).map(([name, value]) => `--${name.replaceAll('_', '-')}=${value}`);
  const asRoot = process.getuid?.() === 0 && options.runAs === null ? ['--user=root'] : [];
  const args = ['--no-defaults', `--basedir=${programs.baseDir}`, ...dryRuns[programs.flavour], ...asRoot, ...given];
  const { code, output } = await runProgram(programs.server, args, {
    home: '/',
    libraryPath: programs.libraryPath,
    owner: options.runAs,
    timeoutMs,
    failure: 'ENGINE_BINARY_MISSING',
  });
  const line = output.split('\n').find((one) => /\[ERROR\]/.test(one));
  if (code === 0 && line === undefined) return null;
  const words = line
    ?.replace(/^.*?\[ERROR\]\s*(\[MY-\d+\]\s*)?(\[\w+\]\s*)?/, '')
    .replaceAll(`${programs.server}: `, '');
  return words?.trim() ?? `its program ends with ${code} when it reads it`;
}
