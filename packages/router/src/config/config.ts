/** The router's configuration: one YAML file, checked before anything is started. */

import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { reasonOf } from '@understudy/base';
import { parse } from 'yaml';
import { z } from 'zod';
import { RouterError } from '../errors.ts';
import type { ServerTls } from '../worker/server/server-socket.ts';

const port = z.number().int().min(1).max(65_535);
/** `host:port`, `[address]:port`, or `:port` for the loopback address. */
const listenAddress = z.string().transform((text, context) => {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const number = Number(found?.[3]);
  if (found === null || number > 65_535) {
    context.addIssue({ code: 'custom', message: 'must be like 127.0.0.1:6432' });
    return z.NEVER;
  }
  return { host: found[1] ?? (found[2] || '127.0.0.1'), port: number };
});
export type ListenAddress = z.output<typeof listenAddress>;

const duration = z.number().int().min(1).max(86_400_000);

export const routerConfigSchema = z
  .strictObject({
    listen: z
      .strictObject({
        /** Reads and writes. */
        readWrite: listenAddress.optional(),
        /** Replicas; the primary only when there is none. */
        readOnly: listenAddress.optional(),
        /** The primary, always. */
        primary: listenAddress.optional(),
      })
      .refine((each) => Object.values(each).some((address) => address !== undefined), 'names no address'),
    cluster: z
      .strictObject({
        /** Agents of the cluster: they say who leads, in which epoch. */
        agents: z
          .array(z.url({ protocol: /^https?$/ }))
          .min(1)
          .optional(),
        caFile: z.string().optional(),
        tokenFile: z.string().optional(),
        /** Instead of agents: servers that are asked for their role. Weaker: nothing proves who of two primaries is the right one. */
        servers: z
          .array(z.strictObject({ name: z.string().min(1).max(40), host: z.string().min(1), port }))
          .min(1)
          .optional(),
      })
      .refine((each) => (each.agents === undefined) !== (each.servers === undefined), 'names either agents or servers'),
    auth: z.strictObject({
      /** Who may read pg_authid: the router asks it for the verifiers of its clients. */
      user: z.string().min(1),
      passwordFile: z.string().min(1).optional(),
      database: z.string().min(1).default('postgres'),
    }),
    tls: z.strictObject({ cert: z.string(), key: z.string(), required: z.boolean().default(false) }).optional(),
    /** Towards the servers. `require` keeps listeners out; `verify-ca` and `verify-full` (with the name) also somebody in between. */
    serverTls: z
      .strictObject({
        mode: z.enum(['disable', 'require', 'verify-ca', 'verify-full']).default('disable'),
        caFile: z.string().optional(),
      })
      .refine(({ mode, caFile }) => !mode.startsWith('verify') || caFile !== undefined, 'needs a caFile for that mode')
      .prefault({}),
    workers: z
      .number()
      .int()
      .min(1)
      .max(64)
      .default(Math.max(1, Math.min(8, availableParallelism()))),
    /**
     * `session`: a client keeps its server connection from its first statement to its end. `transaction`: only for the length of a
     * transaction; docs/router.md says which state is not protected then.
     */
    pooling: z.enum(['session', 'transaction']).default('session'),
    pool: z
      .strictObject({
        /** Server connections of one user and database on one node, over all workers. */
        size: z.number().int().min(1).max(10_000).default(20),
        idleMs: duration.default(600_000),
      })
      .prefault({}),
    hold: z
      .strictObject({
        /** How long a statement waits for a primary, or for a connection. */
        maxMs: duration.default(15_000),
        maxClients: z.number().int().min(1).max(1_000_000).default(10_000),
        maxBytes: z
          .number()
          .int()
          .min(1_024)
          .default(64 * 1024 * 1024),
      })
      .prefault({}),
    loginMs: duration.default(15_000),
    maxClients: z.number().int().min(1).max(1_000_000).default(10_000),
  })
  .strict();

export type RouterConfig = z.output<typeof routerConfigSchema>;
export type Pooling = RouterConfig['pooling'];
export type RouterConfigInput = z.input<typeof routerConfigSchema>;

/** @throws RouterError `CONFIG_INVALID` */
export function checkRouterConfig(input: unknown, source: string): RouterConfig {
  const checked = routerConfigSchema.safeParse(input);
  if (checked.success) return checked.data;
  const problems = checked.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'} ${message}`);
  throw new RouterError('CONFIG_INVALID', `${source}: ${problems.join('; ')}.`);
}

/** @throws RouterError `FILE_UNREADABLE`, `CONFIG_INVALID` */
export async function loadRouterConfig(file: string): Promise<RouterConfig> {
  const text = await readText(file);
  let input: unknown;
  try {
    input = parse(text);
  } catch (error) {
    throw new RouterError('CONFIG_INVALID', `${file} is not YAML: ${reasonOf(error)}`);
  }
  return checkRouterConfig(input, file);
}

/** @throws RouterError `FILE_UNREADABLE` */
export async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new RouterError('FILE_UNREADABLE', `${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  });
}

/** @throws RouterError `FILE_UNREADABLE`, `CONFIG_INVALID` when no file is named */
export async function passwordOf({ auth }: RouterConfig): Promise<string> {
  if (auth.passwordFile === undefined) {
    throw new RouterError(
      'CONFIG_INVALID',
      'auth.passwordFile is missing. Name the file with the password of auth.user.',
    );
  }
  return (await readText(auth.passwordFile)).trimEnd();
}

/** @throws RouterError `FILE_UNREADABLE` */
export async function serverTlsOf({ serverTls: { mode, caFile } }: RouterConfig): Promise<ServerTls | null> {
  if (mode === 'disable') return null;
  const ca = mode === 'require' || caFile === undefined ? null : await readText(caFile);
  return { ca, checksName: mode === 'verify-full' };
}

/** What a worker has to know: contents instead of files. */
export interface WorkerConfig {
  /** Its number, from 0: a part of the keys that it gives out. */
  readonly index: number;
  readonly auth: { readonly user: string; readonly password: string; readonly database: string };
  readonly tls: { readonly cert: string; readonly key: string; readonly required: boolean } | null;
  readonly serverTls: ServerTls | null;
  readonly pooling: Pooling;
  readonly poolSize: number;
  readonly poolIdleMs: number;
  readonly waitMs: number;
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly loginMs: number;
  /** Makes the answers about users that do not exist the same in all workers. */
  readonly secret: string;
}

/** @throws RouterError `FILE_UNREADABLE` */
export async function workerConfig(
  config: RouterConfig,
  index: number,
  secret: string,
  password: string,
): Promise<WorkerConfig> {
  const { auth, tls, pooling, pool, hold, workers, loginMs } = config;
  const share = (whole: number): number => Math.max(1, Math.ceil(whole / workers));
  return {
    index,
    auth: { user: auth.user, password, database: auth.database },
    tls:
      tls === undefined
        ? null
        : { cert: await readText(tls.cert), key: await readText(tls.key), required: tls.required },
    serverTls: await serverTlsOf(config),
    pooling,
    poolSize: share(pool.size),
    poolIdleMs: pool.idleMs,
    waitMs: hold.maxMs,
    waiting: share(hold.maxClients),
    waitingBytes: share(hold.maxBytes),
    loginMs,
    secret,
  };
}
