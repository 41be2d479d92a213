import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { projectFiles } from './files.ts';
import type { CheckResult } from './result.ts';

const rulesPage = 'docs/rules.md';
/** Texts in which a label or a page may be cited. */
const readable = /\.(?:ts|mjs|js|md)$/;
/** This check's own test cites what does not exist. */
const ownTest = 'tools/check/rule-labels.test.ts';

/**
 * Checks that each cited rule ("C14", "P7") has a heading in `docs/rules.md`, that each page named in backticks exists, and
 * each path that a page names: from the root, in a package's README also from that package.
 */
export async function checkRuleLabels(root: string): Promise<CheckResult> {
  if (!existsSync(join(root, rulesPage))) return { problems: [`${rulesPage} is missing.`], notes: [] };
  const files = projectFiles(root).filter((file) => readable.test(file) && existsSync(join(root, file)));
  const headings = headingsOf(readFileSync(join(root, rulesPage), 'utf8'));
  const pages = new Set(files.filter((file) => file.endsWith('.md')).map((file) => basename(file)));
  return {
    problems: files
      .filter((file) => file !== ownTest)
      .flatMap((file) => {
        const text = readFileSync(join(root, file), 'utf8');
        return [
          ...citationProblems(file, text, headings, pages),
          ...missingPaths(file, text, (path) => existsSync(join(root, path))),
        ];
      }),
    notes: [],
  };
}

/** The labels that have a heading: "### C14 The rule is …" gives C14. */
export function headingsOf(page: string): ReadonlySet<string> {
  return new Set([...page.matchAll(/^#{2,6} ([CP]\d{1,2})\b/gm)].map((match) => match[1] ?? ''));
}

/**
 * @param headings the labels that resolve
 * @param pages names of the Markdown pages that exist, without folders
 */
export function citationProblems(
  file: string,
  text: string,
  headings: ReadonlySet<string>,
  pages: ReadonlySet<string>,
): readonly string[] {
  return text.split('\n').flatMap((line, index) => {
    const at = `${file}:${index + 1}`;
    const labels = labelsIn(line).filter((label) => !headings.has(label));
    const missing = pagesIn(line).filter((page) => !pages.has(page));
    return [
      ...labels.map((label) => `${at} cites ${label}, which has no heading in ${rulesPage}.`),
      ...missing.map((page) => `${at} cites ${page}, which is not in the repository.`),
    ];
  });
}

/** Paths in backticks that begin with a folder of ours and lead nowhere; patterns and parts of a page's own tree are left out. */
export function missingPaths(file: string, text: string, exists: (path: string) => boolean): readonly string[] {
  if (!file.endsWith('.md')) return [];
  const home = /^packages\/[^/]+\//.exec(file)?.[0] ?? null;
  return [...text.matchAll(/`((?:packages|tests|tools|docs|src|test)\/[\w./-]+)`/g)]
    .map(([, path = '']) => (/^(?:src|test)\//.test(path) ? (home === null ? null : home + path) : path))
    .filter((path) => path !== null && !exists(path))
    .map((path) => `${file} names ${path}, which is not there.`);
}

/** "C10–C12", "C7 d" and "C1.1" begin with a label; control characters (C0, DEL, C1) are no rules. */
function labelsIn(line: string): readonly string[] {
  if (/\bDEL\b|\bC0\b/.test(line)) return [];
  return [...line.matchAll(/(?<![\w.#/-])([CP]\d{1,2}(?:\.\d+)?)(?![\w-])/g)].map((match) => match[1] ?? '');
}

function pagesIn(line: string): readonly string[] {
  return [...line.matchAll(/`(?:[\w.-]+\/)*([\w-]+\.md)`/g)].map((match) => match[1] ?? '');
}
