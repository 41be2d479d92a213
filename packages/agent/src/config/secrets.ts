/** The node's secrets: generated passwords of the database users. Never logged, never in messages. */

import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { AgentError, codeOf } from '../errors.ts';

const password = z.string().min(8, 'a password has at least 8 characters').max(1024);

/** The same four on every node of a cluster. */
export const secretsSchema = z.strictObject({
  superuser: password,
  replication: password,
  rewind: password,
  monitor: password,
});

export type Secrets = z.infer<typeof secretsSchema>;

/**
 * Reads the secrets file: JSON with `superuser`, `replication`, `rewind` and `monitor`.
 * @throws AgentError `CONFIG_UNREADABLE`, `SECRETS_EXPOSED` (readable by group or others), `CONFIG_INVALID`
 */
export async function loadSecrets(file: string): Promise<Secrets> {
  const text = await readSecretText(file);
  const parsed = secretsSchema.safeParse(parseJson(text, file));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || '(whole file)'}: ${issue.message}`);
  throw new AgentError('CONFIG_INVALID', 'unsafe', `${file}: ${problems.join('; ')}. Correct the secrets file.`);
}

/** Reads a file that holds one secret, such as the API's token; the final newline is not part of it. */
export async function loadSecretLine(file: string): Promise<string> {
  const text = (await readSecretText(file)).trimEnd();
  if (text.length >= 16 && !/\s/.test(text)) return text;
  throw new AgentError(
    'CONFIG_INVALID',
    'unsafe',
    `${file}: must hold one word of at least 16 characters and nothing else.`,
  );
}

async function readSecretText(file: string): Promise<string> {
  try {
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) {
      const shown = (mode & 0o777).toString(8).padStart(4, '0');
      throw new AgentError(
        'SECRETS_EXPOSED',
        'unsafe',
        `${file}: mode ${shown} lets other users read it. Run: chmod 0600 ${file}`,
      );
    }
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    const code = codeOf(cause, 'unknown error');
    throw new AgentError(
      'CONFIG_UNREADABLE',
      'unsafe',
      `${file}: cannot be read (${code}). Correct the path or its permissions.`,
      { cause },
    );
  }
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which is secret.
    throw new AgentError(
      'CONFIG_INVALID',
      'unsafe',
      `${file}: is not JSON. Write {"superuser": "…", "replication": "…", "rewind": "…", "monitor": "…"}.`,
    );
  }
}
