/** The tokens of the API: who may look, operate, or change everything. Read from one file, never logged. */

import { z } from 'zod';
import { readSecretText } from '../config/secrets.ts';
import { AgentError } from '../errors.ts';

export interface Token {
  readonly role: 'view' | 'operate' | 'admin';
  /** For the record of changes. */
  readonly name: string;
  readonly secret: string;
}

const MAX_TOKENS = 64;
const roleSchema = z.enum(['view', 'operate', 'admin']);
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;

/**
 * Reads a file of tokens: one word alone is the token of an administrator; otherwise a line `ROLE NAME TOKEN` for each, and lines with `#`.
 * @throws AgentError `CONFIG_UNREADABLE`, `SECRETS_EXPOSED`, `CONFIG_INVALID`; none quotes a token
 */
export async function loadTokens(file: string): Promise<readonly Token[]> {
  return parseTokens(await readSecretText(file), file);
}

/** @throws AgentError `CONFIG_INVALID` */
export function parseTokens(text: string, file: string): readonly Token[] {
  const wrong = (what: string) => new AgentError('CONFIG_INVALID', `${file}: ${what}`);
  const lines = text.split('\n').map((line, index) => ({ words: line.trim().split(/\s+/), number: index + 1 }));
  const written = lines.filter(({ words }) => words[0] !== '' && !words[0]?.startsWith('#'));
  const [only] = written;
  if (written.length === 1 && only?.words.length === 1) {
    const [secret = ''] = only.words;
    if (secret.length < 16) throw wrong('the token must have at least 16 characters.');
    return [{ role: 'admin', name: 'token', secret }];
  }
  if (written.length === 0) throw wrong('has no token. Write one word of at least 16 characters.');
  if (written.length > MAX_TOKENS) throw wrong(`has more than ${MAX_TOKENS} tokens.`);
  const tokens = written.map(({ words, number }): Token => {
    const [role, name = '', secret = ''] = words;
    const known = roleSchema.safeParse(role);
    if (words.length !== 3 || !known.success || !NAME.test(name)) {
      throw wrong(`line ${number} is not "ROLE NAME TOKEN", with view, operate or admin as ROLE.`);
    }
    if (secret.length < 16) throw wrong(`line ${number}: the token must have at least 16 characters.`);
    return { role: known.data, name, secret };
  });
  if (new Set(tokens.map(({ name }) => name)).size < tokens.length) throw wrong('has a name twice.');
  if (new Set(tokens.map(({ secret }) => secret)).size < tokens.length) throw wrong('has a token twice.');
  return tokens;
}

/** A token that takes the place of another one carries the name of that one and this, until it has; then the other one does. */
const NEXT = '.next';
const LAST = '.last';

/** `accept`: a new one beside the old; `use`: the new one has the name; `drop`: the old one is gone. Each may be said again. */
export type TokenStep =
  | { readonly step: 'accept'; readonly name: string; readonly secret: string }
  | { readonly step: 'use'; readonly name: string }
  | { readonly step: 'drop'; readonly name: string };

/** The tokens after a step; null: there is none of that name. */
export function afterStep(tokens: readonly Token[], step: TokenStep): readonly Token[] | null {
  const { name } = step;
  const own = tokens.find((token) => token.name === name);
  if (own === undefined) return null;
  const next = tokens.find((token) => token.name === `${name}${NEXT}`);
  const without = (...names: readonly string[]) => tokens.filter((token) => !names.includes(token.name));
  const replaced = (...by: readonly Token[]): readonly Token[] =>
    without(`${name}${NEXT}`, `${name}${LAST}`).flatMap((token) => (token === own ? by : [token]));
  switch (step.step) {
    case 'accept':
      // It has taken the place already: an earlier run came that far.
      if (own.secret === step.secret) return tokens;
      return replaced(own, { role: own.role, name: `${name}${NEXT}`, secret: step.secret });
    case 'use':
      return next === undefined ? tokens : replaced({ ...next, name }, { ...own, name: `${name}${LAST}` });
    case 'drop':
      return without(`${name}${LAST}`);
  }
}

/** The text of a file of tokens, in the form that it had: one word alone where there is one without a name of its own. */
export function formatTokens(tokens: readonly Token[]): string {
  const [only] = tokens;
  if (tokens.length === 1 && only?.name === 'token' && only.role === 'admin') return `${only.secret}\n`;
  return tokens.map(({ role, name, secret }) => `${role} ${name} ${secret}\n`).join('');
}

/** The token that allows most; for programs on the host whose file it is. */
export function strongestToken(tokens: readonly Token[]): string | null {
  const order = ['admin', 'operate', 'view'] as const;
  for (const role of order) {
    const found = tokens.find((token) => token.role === role);
    if (found !== undefined) return found.secret;
  }
  return null;
}
