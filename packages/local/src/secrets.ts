import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { LocalError } from './errors.ts';
import { putFile, readText } from './files.ts';
import type { ClusterPaths } from './folder.ts';

const secretsSchema = z.object({
  superuser: z.string().min(8),
  replication: z.string().min(8),
  rewind: z.string().min(8),
  monitor: z.string().min(8),
});

/** Passwords of the database users of a cluster, and the token that changes through the HTTP API must carry. */
export interface ClusterSecrets extends z.infer<typeof secretsSchema> {
  readonly token: string;
}

const password = (): string => randomBytes(24).toString('base64url');

/** Reads the secrets of a cluster; makes them (mode 0600), or those of them that an earlier version did not know, where there are none yet. */
export async function ensureSecrets(paths: ClusterPaths): Promise<ClusterSecrets> {
  if ((await readText(paths.secrets)) === null) {
    const fresh = { superuser: password(), replication: password(), rewind: password(), monitor: password() };
    await putFile(paths.secrets, `${JSON.stringify(fresh, null, 2)}\n`);
  }
  await ensureMemberSecret(paths);
  if ((await readText(paths.token)) === null)
    await putFile(
      paths.token,
      `${password()}
`,
    );
  return readSecrets(paths);
}

/**
 * What agents show each other must not follow from a password that people know. Called before any agent runs: all of them read the same
 * file, so they have the same.
 */
async function ensureMemberSecret(paths: ClusterPaths): Promise<void> {
  const known = z.looseObject({ superuser: z.string() }).safeParse(parseJson((await readText(paths.secrets)) ?? ''));
  if (!known.success || 'member' in known.data) return;
  await putFile(paths.secrets, `${JSON.stringify({ ...known.data, member: password() }, null, 2)}\n`);
}

/** @throws LocalError `STATE_INVALID`; the message never quotes the file. */
export async function readSecrets(paths: ClusterPaths): Promise<ClusterSecrets> {
  const parsed = secretsSchema.safeParse(parseJson((await readText(paths.secrets)) ?? ''));
  // While it is changed there are two, each after its role and its name.
  const [line = ''] = ((await readText(paths.token)) ?? '').trim().split('\n');
  const token = line.split(/\s+/).at(-1) ?? '';
  if (parsed.success && token.length >= 16) return { ...parsed.data, token };
  throw new LocalError('STATE_INVALID', `${paths.secrets} or ${paths.token} is missing or damaged.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
