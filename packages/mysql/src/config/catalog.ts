import { EngineError, type ParameterProblem } from '@understudy/engine';
import { nearest } from '@understudy/engine/host';
import type { MysqlOptions } from '../options.ts';
import { runProgram, tail } from '../process/program.ts';
import type { Flavour, ServerPrograms } from '../programs.ts';
import { canonicalName, reservedReason } from './settings.ts';

/** The variables that a server can be given, by their names with underscores. */
export type VariableCatalog = ReadonlySet<string>;

/**
 * Asks the server's program for its variables (`--verbose --help`; no server is started).
 *
 * @throws EngineError `ENGINE_BINARY_MISSING` when the program does not answer.
 */
export async function readCatalog(
  programs: ServerPrograms,
  options: Pick<MysqlOptions, 'runAs'>,
): Promise<VariableCatalog> {
  const args = ['--no-defaults', `--basedir=${programs.baseDir}`, '--verbose', '--help'];
  const asRoot = process.getuid?.() === 0 && options.runAs === null ? ['--user=root'] : [];
  const { code, output } = await runProgram(programs.server, [...args, ...asRoot], {
    home: '/',
    libraryPath: programs.libraryPath,
    owner: options.runAs,
    timeoutMs: 10_000,
    failure: 'ENGINE_BINARY_MISSING',
  });
  const catalog = parseCatalog(output);
  if (code === 0 && catalog.size > 0) return catalog;
  const text = `${programs.server} did not list its variables: ${tail(output)}`;
  throw new EngineError('ENGINE_BINARY_MISSING', text);
}

/** Reads the table at the end of the help: a name with hyphens and a value on every line, below a ruled heading. */
export function parseCatalog(help: string): VariableCatalog {
  const table = help.slice(help.search(/^-{5,} -{5,}$/m));
  const names = table.matchAll(/^([a-z][a-z0-9-]*)\s{2,}\S|^([a-z][a-z0-9-]*)\s+\S+$/gm);
  return new Set([...names].map((match) => canonicalName(match[1] ?? match[2] ?? '')));
}

/**
 * Sorts parameters into those that the server will take and those that it would not: names that it does not know (it would not
 * start with one), values that are no single line, and names that Understudy sets itself.
 *
 * @param where whose parameters they are, for the text of the problems.
 */
export function checkParameters(
  given: Readonly<Record<string, string>>,
  where: string,
  catalog: VariableCatalog,
  flavour: Flavour,
): { readonly good: Readonly<Record<string, string>>; readonly problems: readonly string[] } {
  const good: Record<string, string> = {};
  const problems: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    const problem = problemOf(name, value, catalog, flavour);
    if (problem === null) good[canonicalName(name)] = value;
    else problems.push(`The parameter ${name} of ${where} ${problem}`);
  }
  return { good, problems };
}

/** What is wrong with parameters that are wanted for the whole cluster, by name. */
export function parameterProblems(
  given: Readonly<Record<string, string>>,
  catalog: VariableCatalog,
  flavour: Flavour,
): readonly ParameterProblem[] {
  return Object.entries(given).flatMap(([name, value]) => {
    const problem = problemOf(name, value, catalog, flavour);
    return problem === null ? [] : [{ name, problem: problem + nearby(name, problem, catalog) }];
  });
}

/** The name that was probably meant. */
function nearby(name: string, problem: string, catalog: VariableCatalog): string {
  const meant = problem.includes('correct the name') ? nearest(canonicalName(name), [...catalog]) : null;
  return meant === null ? '' : ` Did you mean "${meant}"?`;
}

function problemOf(name: string, value: string, catalog: VariableCatalog, flavour: Flavour): string | null {
  const canonical = canonicalName(name);
  if (!/^[a-z][a-z0-9_.]*$/.test(canonical)) return 'is not a name that a variable can have.';
  const reserved = reservedReason(canonical, flavour, value.trim());
  if (reserved !== null && reservedReason(canonical, flavour) === null) return `must not be ${value} (${reserved}).`;
  if (reserved !== null) return `is set by Understudy itself (${reserved}); remove it.`;
  // Names with a dot belong to components; the server takes them unseen.
  if (!canonical.includes('.') && !catalog.has(canonical)) return 'is not known to this server; correct the name.';
  if (canonical === 'default_time_zone' && !/^(system|[+-]\d{1,2}:\d{2})$/i.test(value.trim())) {
    return 'names a time zone, and a server that starts has not read its tables of them; use an offset such as +01:00, or SYSTEM.';
  }
  return /[\0\n\r]/.test(value) ? 'has a value of more than one line.' : null;
}
