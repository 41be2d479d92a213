import { codeOf } from '@understudy/base';
/** The node's secrets: generated passwords of the database users. Never logged, never in messages. */

import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { openToRead, PathError, readAt, withFile } from '@understudy/engine/host';
import { z } from 'zod';
import { AgentError } from '../errors.ts';
import type { NodeConfig } from './node-config.ts';

type KeyFiles = Pick<NodeConfig, 'api' | 'engine' | 'store'>;

const password = z.string().min(8, 'a password has at least 8 characters').max(1024);

/** The same on every node of a cluster. */
export const secretsSchema = z.strictObject({
  superuser: password,
  replication: password,
  rewind: password,
  monitor: password,
  /** By which agents show each other that they are members; without it, it follows from `superuser`. */
  member: z.string().min(16, 'has at least 16 characters').max(1024).optional(),
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
  throw new AgentError('CONFIG_INVALID', `${file}: ${problems.join('; ')}.`, { next: 'Correct the secrets file.' });
}

/** Reads a file that holds one secret, such as the API's token; the final newline is not part of it. */
export async function loadSecretLine(file: string): Promise<string> {
  const text = (await readSecretText(file)).trimEnd();
  if (text.length >= 16 && !/\s/.test(text)) return text;
  throw new AgentError('CONFIG_INVALID', `${file}: must hold one word of at least 16 characters and nothing else.`);
}

const SECRET_BYTES_MAX = 64 * 1024;

/** The text of a file that only its owner may read. @throws AgentError `CONFIG_UNREADABLE`, `SECRETS_EXPOSED` */
export async function readSecretText(file: string): Promise<string> {
  try {
    return await withFile(openToRead(file), async (opened) => {
      const { mode } = await opened.stat();
      if ((mode & 0o077) !== 0) throw exposed(file, mode);
      return (await readAt(opened, 0, SECRET_BYTES_MAX)).toString('utf8');
    });
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    const code = cause instanceof PathError ? cause.message : (codeOf(cause) ?? 'unknown error');
    throw new AgentError('CONFIG_UNREADABLE', `${file}: cannot be read (${code}).`, {
      next: 'Correct the path or its permissions.',
      cause,
    });
  }
}

function exposed(file: string, mode: number): AgentError {
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  const text = `${file}: mode ${shown} lets other users read it, or write to it.`;
  return new AgentError('SECRETS_EXPOSED', text, { next: `Run: chmod 0600 ${file}` });
}

/** As PostgreSQL has it for its own key: of the owner alone, or of root and read by a group. */
const isExposed = ({ mode, uid }: Stats): boolean => (mode & (uid === 0 ? 0o037 : 0o077)) !== 0;

/**
 * Looks at the modes of the private keys, and of the store's password, that a configuration names. What is not there, others say.
 * @throws AgentError `SECRETS_EXPOSED`
 */
export async function refuseExposedKeys({ api, engine, store }: KeyFiles): Promise<void> {
  const ofStore = store.kind === 'etcd' ? [store.tls?.keyFile, store.passwordFile] : [];
  for (const file of [api.tls?.key, engine.tls?.key, ...ofStore]) {
    const found = file === undefined ? null : await stat(file).catch(() => null);
    if (file !== undefined && found !== null && isExposed(found)) throw exposed(file, found.mode);
  }
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which is secret.
    throw new AgentError('CONFIG_INVALID', `${file}: is not JSON.`, {
      next: 'Write {"superuser": "…", "replication": "…", "rewind": "…", "monitor": "…"}.',
    });
  }
}
