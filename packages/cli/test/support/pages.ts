import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** Root of the checkout. */
export const checkout = fileURLToPath(new URL('../../../../', import.meta.url));

export interface CodeBlock {
  /** Of the fence: `sh`, `yaml`, or empty. */
  readonly language: string;
  readonly text: string;
}

/** The fenced code blocks of a page, in order. */
export async function codeBlocks(page: string): Promise<readonly CodeBlock[]> {
  const text = await readFile(`${checkout}${page}`, 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)].map(([, language = '', body = '']) => ({
    language,
    text: body,
  }));
}
