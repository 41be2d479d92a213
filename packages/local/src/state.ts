import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { LocalError } from './errors.ts';
import { putFile, readText } from './files.ts';
import type { ClusterPaths } from './folder.ts';

const port = z.int().min(1).max(65_535);
export const nodeNamePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/;

const nodeSchema = z.strictObject({
  name: z.string().regex(nodeNamePattern),
  apiPort: port,
  dbPort: port,
  /** `server_id` of MySQL and MariaDB; PostgreSQL has none. */
  serverId: z.int().min(1).max(0xffff_ffff).optional(),
});
const etcdMemberSchema = z.strictObject({
  name: z.string(),
  clientPort: port,
  peerPort: port,
  /** The node on whose host it runs, and with which it is lost; without it, on this machine itself. */
  node: z.string().regex(nodeNamePattern).optional(),
});
const storeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('local') }),
  z.strictObject({ kind: z.literal('etcd'), members: z.array(etcdMemberSchema).min(1).max(5) }),
]);

/** What has to stay the same from one start of a cluster to the next. */
const stateSchema = z.strictObject({
  format: z.literal(1),
  /** Random, so that processes of this cluster can be told from those of every other. */
  id: z.string().regex(/^[0-9a-f]{8}$/),
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
  engine: z.enum(['postgres', 'mysql', 'mariadb']),
  /** Major version or series of the server (`17`, `9.7`): a data directory cannot be used by another. */
  version: z.string().regex(/^\d{1,3}(\.\d{1,3})?$/),
  durability: z.enum(['sync', 'async']),
  /**
   * What is encrypted. `replication`: servers and agents' API; `all`: etcd as well, which is only decided when it is made. Clusters of
   * earlier versions do not say it: nothing.
   */
  tls: z.enum(['off', 'replication', 'all']).default('off'),
  nodes: z.array(nodeSchema).min(1).max(9),
  store: storeSchema,
});

export type ClusterState = z.infer<typeof stateSchema>;
export type NodeState = z.infer<typeof nodeSchema>;
export type StoreState = z.infer<typeof storeSchema>;
export type EtcdMemberState = z.infer<typeof etcdMemberSchema>;

/** How the agents' API is reached. The token goes there, so only a cluster without any certificates has it plain. */
export const apiScheme = ({ tls }: Pick<ClusterState, 'tls'>): 'http' | 'https' => (tls === 'off' ? 'http' : 'https');

export const newClusterId = (): string => randomBytes(4).toString('hex');

/**
 * Reads the state file of a folder.
 *
 * @returns null when there is none: the cluster is new.
 * @throws LocalError `STATE_INVALID`
 */
export async function readState(paths: ClusterPaths): Promise<ClusterState | null> {
  const text = await readText(paths.state);
  if (text === null) return null;
  const parsed = stateSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || '(whole)'}: ${issue.message}`);
  throw new LocalError(
    'STATE_INVALID',
    `${paths.state} is damaged or of another version (${problems.slice(0, 3).join('; ')}).`,
    { next: 'Choose another folder, or remove this one with its data.' },
  );
}

export async function writeState(paths: ClusterPaths, state: ClusterState): Promise<void> {
  await putFile(paths.state, `${JSON.stringify(state, null, 2)}\n`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
