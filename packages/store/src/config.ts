/** Store configuration: a tagged union, checked before anything is opened. */

import { z } from 'zod';
import { StoreError } from './errors.ts';

const clusterName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'a cluster name has 1 to 63 letters, digits, ".", "_" or "-" and starts with a letter or digit',
  );

const filePath = z.string().min(1, 'a path cannot be empty').max(4096);

const endpointUrl = z
  .string()
  .refine(isEndpoint, 'an endpoint looks like "https://etcd1.example:2379", without a path');

const localConfig = z.strictObject({
  kind: z.literal('local'),
  /** File shared by the agents of one machine. Its folder has to exist. */
  path: filePath,
  cluster: clusterName,
});

const etcdConfig = z
  .strictObject({
    kind: z.literal('etcd'),
    /** Client URLs of the members; the order is the order of preference. */
    endpoints: z.array(endpointUrl).min(1, 'name at least one endpoint').max(16),
    cluster: clusterName,
    /** CA that signed the servers' certificates, and the client certificate when the servers ask for one. */
    tls: z
      .strictObject({ caFile: filePath, certFile: filePath.optional(), keyFile: filePath.optional() })
      .refine((tls) => (tls.certFile === undefined) === (tls.keyFile === undefined), 'certFile and keyFile go together')
      .optional(),
    username: z.string().min(1).max(256).optional(),
    /** File with the password and nothing else; a final newline is ignored. */
    passwordFile: filePath.optional(),
  })
  .refine((c) => (c.username === undefined) === (c.passwordFile === undefined), 'username and passwordFile go together')
  .refine(
    (c) => new Set(c.endpoints.map((e) => e.startsWith('https:'))).size <= 1,
    'endpoints are all http or all https',
  )
  .refine((c) => c.tls === undefined || c.endpoints.every((e) => e.startsWith('https:')), 'tls needs https endpoints');

export const storeConfigSchema = z.discriminatedUnion('kind', [localConfig, etcdConfig]);

export type StoreConfig = z.infer<typeof storeConfigSchema>;
export type LocalStoreConfig = z.infer<typeof localConfig>;
export type EtcdStoreConfig = z.infer<typeof etcdConfig>;

/** Checks a configuration of unknown origin. Throws StoreError `invalid-config` that names each wrong setting. */
export function parseStoreConfig(input: unknown): StoreConfig {
  const parsed = storeConfigSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `store.${issue.path.join('.') || '(whole)'}: ${issue.message}`);
  throw new StoreError('invalid-config', `The store configuration is wrong: ${problems.join('; ')}.`, {
    next: 'Correct these settings.',
  });
}

/** User names and passwords in a URL would end up in messages, so they are refused, as are paths. */
function isEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const plain = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  return plain && url.pathname === '/' && (url.protocol === 'http:' || url.protocol === 'https:');
}
