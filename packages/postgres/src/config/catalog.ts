import { join } from 'node:path';
import { EngineError, type ParameterProblem } from '@understudy/engine';
import { nearest } from '@understudy/engine/host';
import type { PostgresOptions } from '../options.ts';
import { runProgram, tail } from '../process/program.ts';
import { reservedSettings } from './settings.ts';
import { voidingProblem } from './voiding.ts';

/** The parameters that a server knows, in lower case, with the kind of value each takes. */
export type ParameterCatalog = ReadonlyMap<string, ParameterKind>;
export type ParameterKind = 'BOOLEAN' | 'INTEGER' | 'REAL' | 'STRING' | 'ENUM';

/**
 * Asks the server's program for its parameters (`postgres --describe-config`; no server is started).
 *
 * @throws EngineError `ENGINE_BINARY_MISSING` when the program does not answer.
 */
export async function readCatalog(options: Pick<PostgresOptions, 'binaries' | 'runAs'>): Promise<ParameterCatalog> {
  const { code, output } = await runProgram(join(options.binaries.binDir, 'postgres'), ['--describe-config'], {
    home: '/',
    libraryPath: options.binaries.libraryPath,
    owner: options.runAs,
    timeoutMs: 10_000,
    failure: 'ENGINE_BINARY_MISSING',
  });
  const catalog = parseCatalog(output);
  if (code === 0 && catalog.size > 0) return catalog;
  const text = `${options.binaries.binDir}/postgres did not list its parameters: ${tail(output)}`;
  throw new EngineError('ENGINE_BINARY_MISSING', text);
}

/** Reads lines of `--describe-config`: name, context, group, kind, … between tabs. */
export function parseCatalog(output: string): ParameterCatalog {
  const catalog = new Map<string, ParameterKind>();
  for (const line of output.split('\n')) {
    const [name, , , kind] = line.split('\t');
    if (name !== undefined && isKind(kind)) catalog.set(name.toLowerCase(), kind);
  }
  return catalog;
}

function isKind(text: string | undefined): text is ParameterKind {
  return ['BOOLEAN', 'INTEGER', 'REAL', 'STRING', 'ENUM'].includes(text ?? '');
}

const patterns: Readonly<Partial<Record<ParameterKind, RegExp>>> = {
  BOOLEAN: /^(on|off|true|false|yes|no|t|f|y|n|1|0)$/i,
  INTEGER: /^[+-]?(0x[0-9a-f]+|\d+(\.\d+)?)\s*(B|kB|MB|GB|TB|us|ms|s|min|h|d)?$/i,
  REAL: /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*(B|kB|MB|GB|TB|us|ms|s|min|h|d)?$/i,
};

/**
 * Sorts parameters into those that the server will take and those that it would not: names it does not know, values that are
 * not of the parameter's kind, and names that Understudy sets itself. A server does not start with a wrong one.
 *
 * @param where whose parameters they are, for the text of the problems.
 */
export function checkParameters(
  given: Readonly<Record<string, string>>,
  where: string,
  catalog: ParameterCatalog,
): { readonly good: Readonly<Record<string, string>>; readonly problems: readonly string[] } {
  const good: Record<string, string> = {};
  const problems: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    const problem = problemOf(name.toLowerCase(), value, catalog);
    if (problem === null) good[name.toLowerCase()] = value;
    else problems.push(`The parameter ${name} of ${where} ${problem}`);
  }
  return { good, problems };
}

/** What is wrong with parameters that are wanted for the whole cluster, by name. */
export function parameterProblems(
  given: Readonly<Record<string, string>>,
  catalog: ParameterCatalog,
): readonly ParameterProblem[] {
  return Object.entries(given).flatMap(([name, value]) => {
    const problem = problemOf(name.toLowerCase(), value, catalog);
    return problem === null ? [] : [{ name, problem: problem + nearby(name, problem, catalog) }];
  });
}

/** The name that was probably meant. */
function nearby(name: string, problem: string, catalog: ParameterCatalog): string {
  const meant = problem.includes('correct the name') ? nearest(name.toLowerCase(), [...catalog.keys()]) : null;
  return meant === null ? '' : ` Did you mean "${meant}"?`;
}

function problemOf(name: string, value: string, catalog: ParameterCatalog): string | null {
  if (!/^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/.test(name)) return 'is not a name that a parameter can have.';
  if (reservedSettings.has(name)) return 'is set by Understudy itself; remove it.';
  const voiding = voidingProblem(name, value);
  if (voiding !== null) return voiding;
  if (name === 'wal_level' && !['replica', 'logical'].includes(value.toLowerCase())) {
    return `is "${value}", which allows no replicas; use "replica" or "logical".`;
  }
  const kind = catalog.get(name);
  // Names with a dot belong to extensions; the server takes them unseen.
  if (kind === undefined)
    return name.includes('.') ? null : 'is not known to this version of PostgreSQL; correct the name.';
  const pattern = patterns[kind];
  if (pattern !== undefined && !pattern.test(value.trim()))
    return `has the value "${value}", which is no ${kind.toLowerCase()}.`;
  return /[\0\n\r]/.test(value) ? 'has a value of more than one line.' : null;
}
