import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { projectFiles } from './files.ts';
import type { CheckResult } from './result.ts';

/** Checks every relative link of the Markdown pages: the file exists, and so does the heading. */
export async function checkLinks(root: string): Promise<CheckResult> {
  const pages = projectFiles(root).filter((file) => file.endsWith('.md') && existsSync(join(root, file)));
  return {
    problems: pages.flatMap((page) => linkProblems(root, page, readFileSync(join(root, page), 'utf8'))),
    notes: [],
  };
}

/** @param page path of the page below root; `text` its content. */
export function linkProblems(root: string, page: string, text: string): string[] {
  return linksOf(text).flatMap((link) => {
    if (/^[a-z][a-z0-9+.-]*:/i.test(link)) return [];
    const [path = '', anchor] = decodeURI(link).split('#');
    const target = path === '' ? page : path.startsWith('/') ? path.slice(1) : normalize(join(dirname(page), path));
    const full = join(root, target);
    if (target.startsWith('..') || (path !== '' && !existsSync(full)))
      return [`${page}: link to ${link}, which does not exist.`];
    if (anchor === undefined || anchor === '' || !full.endsWith('.md')) return [];
    const content = path === '' ? text : readFileSync(full, 'utf8');
    return anchorsOf(content).has(anchor) ? [] : [`${page}: link to ${link}, but ${target} has no such heading.`];
  });
}

function withoutCode(text: string): string {
  return text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '');
}

function linksOf(text: string): string[] {
  const prose = withoutCode(text);
  const inline = [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)];
  const references = [...prose.matchAll(/^\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)/gm)];
  const html = [...prose.matchAll(/<(?:a|img)\b[^>]*?(?:href|src)="([^"]+)"/g)];
  return [...inline, ...references, ...html].map((match) => match[1] ?? '');
}

/** The names that Markdown hosts give to headings: lower case, punctuation dropped, spaces to hyphens, repeats numbered. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  const counts = new Map<string, number>();
  const body = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '');
  for (const match of body.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const heading = (match[1] ?? '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const base = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const count = counts.get(base) ?? 0;
    counts.set(base, count + 1);
    anchors.add(count === 0 ? base : `${base}-${count}`);
  }
  for (const match of text.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(match[1] ?? '');
  return anchors;
}
