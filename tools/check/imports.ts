import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { type PackageRule, rules, testsMayAlso } from './direction.ts';
import { projectFiles } from './files.ts';
import { importsOf, withoutComments } from './import-lines.ts';
import type { CheckResult } from './result.ts';

const scope = '@understudy/';

interface Source {
  readonly file: string;
  /** `core` for `packages/core/…`, or null outside packages. */
  readonly package: string | null;
  readonly isTest: boolean;
  readonly imports: readonly string[];
  readonly text: string;
}

/** Checks who imports whom: the direction between packages, no way around their entry points, no I/O in values. */
export async function checkImports(root: string): Promise<CheckResult> {
  const files = projectFiles(root).filter((file) => /\.(ts|mjs|js)$/.test(file) && !file.endsWith('.d.ts'));
  const sources = files.map((file) => readSource(file, readFileSync(join(root, file), 'utf8')));
  return { problems: importProblems(sources), notes: [] };
}

/** @param path below the checkout, for example `packages/core/src/index.ts`. */
export function readSource(path: string, text: string): Source {
  const [, name, folder] = /^packages\/([^/]+)\/([^/]+)/.exec(path) ?? [];
  return { file: path, package: name ?? null, isTest: folder === 'test', imports: importsOf(text), text };
}

/** Every violation, one line each: file, what is wrong, what to do. */
export function importProblems(sources: readonly Source[]): string[] {
  return [...sources.flatMap(problemsOf), ...ruleCycles()];
}

function problemsOf(source: Source): string[] {
  if (source.package === null) return [];
  const rule = rules[source.package];
  if (!rule) return [`${source.file}: package ${source.package} has no rule. Add one to tools/check/direction.ts.`];
  const problems = source.imports.flatMap((name) => problemOf(source, rule, name));
  if (mustBePure(source, rule) && /\bMath\s*\.\s*random\b/.test(withoutComments(source.text))) {
    problems.push('uses Math.random. Take randomness as a value.');
  }
  return problems.map((problem) => `${source.file}: ${problem}`);
}

function problemOf(source: Source, rule: PackageRule, name: string): string[] {
  if (name.startsWith('.')) return [...relativeProblem(source, name), ...impureProblem(source, rule, name)];
  if (name.startsWith(scope)) return packageProblem(source, rule, name);
  if (rule.ownFiles !== undefined && !source.isTest && /^(node:)?fs(\/|$)/.test(name)) {
    const isAllowed = rule.ownFiles.some((file) => source.file === `packages/${source.package}/src/${file}`);
    return isAllowed
      ? []
      : [`imports "${name}". Use what @understudy/engine/host has for files that another user can exchange.`];
  }
  if (!mustBePure(source, rule)) return [];
  const what = name.startsWith('node:') || builtinModules.includes(name) ? 'does I/O or reads a clock' : 'is not ours';
  return [`imports "${name}", which ${what}. This package holds values only: move that part outwards.`];
}

function mustBePure(source: Source, rule: PackageRule): boolean {
  return rule.isPure === true && !source.isTest && !isImpure(source.file, source, rule);
}

const isImpure = (file: string, source: Source, rule: PackageRule): boolean =>
  (rule.impure ?? []).some((folder) => file.startsWith(`packages/${source.package}/src/${folder}/`));

function impureProblem(source: Source, rule: PackageRule, name: string): string[] {
  const target = normalize(join(dirname(source.file), name));
  return mustBePure(source, rule) && isImpure(target, source, rule)
    ? [`imports "${name}", which does I/O. Take what it makes as an argument.`]
    : [];
}

function relativeProblem(source: Source, name: string): string[] {
  const target = normalize(join(dirname(source.file), name));
  if (!target.startsWith(`packages/${source.package}/`)) {
    return [`imports "${name}", which is outside its package. Import the package by name, or move the code.`];
  }
  const isTestTarget = target.startsWith(`packages/${source.package}/test/`);
  return isTestTarget && !source.isTest ? [`imports "${name}": a source must not import from tests.`] : [];
}

function packageProblem(source: Source, rule: PackageRule, name: string): string[] {
  const [target = '', ...deeper] = name.slice(scope.length).split('/');
  if (target === source.package) return source.isTest ? [] : [`imports its own package by name ("${name}").`];
  const [sub] = deeper;
  if (sub === 'src' || sub === 'test' || sub === 'dist') {
    return [`imports "${name}". Import what ${scope}${target} exports, or export it there.`];
  }
  if (!source.isTest && rules[target]?.forTests?.includes(sub ?? '') === true) {
    return [`imports "${name}", which is for tests and not published.`];
  }
  if (rule.isPure && !source.isTest && target === 'base' && sub !== 'brands') {
    return [
      `imports "${name}", which reads clocks and does I/O. Of it, a package of values may import ${scope}base/brands.`,
    ];
  }
  const allowed = [...rule.may, ...(source.isTest ? (testsMayAlso[source.package ?? ''] ?? []) : [])];
  if (allowed.includes(target)) return [];
  const may = allowed.length === 0 ? 'nothing of ours' : allowed.join(', ');
  return [`imports "${name}", but ${source.package} may import ${may} (tools/check/direction.ts).`];
}

/** The table itself must be free of circles. */
function ruleCycles(): string[] {
  const reaches = (from: string, to: string, seen: Set<string>): boolean => {
    if (seen.has(from)) return false;
    seen.add(from);
    return (rules[from]?.may ?? []).some((next) => next === to || reaches(next, to, seen));
  };
  return Object.keys(rules)
    .filter((name) => reaches(name, name, new Set()))
    .map((name) => `tools/check/direction.ts: ${name} may import itself through others.`);
}
