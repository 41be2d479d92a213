/** The configuration of one node: what this agent runs, where, and how it reaches the others. */

import { DEFAULT_TAGS } from '@understudy/core';
import { z } from 'zod';
import { addressSchema } from './address.ts';
import { parametersSchema } from './cluster-config.ts';
import { memberNameSchema } from './member-name.ts';

const path = z.string().min(1, 'a path cannot be empty').max(4096);
const GIB = 1024 ** 3;

const clusterName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'a cluster name has 1 to 63 letters, digits, ".", "_" or "-"');

const httpUrl = z.string().refine((text) => {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const plain = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  return plain && url.pathname === '/' && (url.protocol === 'http:' || url.protocol === 'https:');
}, 'must be a URL such as "https://db1.example:8008", without path, user or password');

const storeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('local'), path }),
  z.strictObject({
    kind: z.literal('etcd'),
    endpoints: z.array(httpUrl).min(1, 'name at least one endpoint').max(16),
    tls: z.strictObject({ caFile: path, certFile: path.optional(), keyFile: path.optional() }).optional(),
    username: z.string().min(1).max(256).optional(),
    passwordFile: path.optional(),
  }),
]);

const apiSchema = z.strictObject({
  /** Where the HTTP API listens. */
  listen: addressSchema.prefault('127.0.0.1:8008'),
  /** Base URL under which the other agents, routers and tools reach it; the default follows from `listen`. */
  advertise: httpUrl.optional(),
  /** `clientCert`: a certificate signed by `ca` is accepted instead of the token (`optional`), or asked of every caller (`required`). */
  tls: z
    .strictObject({
      ca: path,
      cert: path,
      key: path,
      clientCert: z.enum(['none', 'optional', 'required']).default('optional'),
    })
    .optional(),
  /** File with the token that changes must carry, or with several (docs/config.md). */
  tokenFile: path.optional(),
  /** What holders of certificates of `tls.ca` may do, by a name in them. Without a word here they may view; members are known by theirs. */
  certificates: z
    .array(z.strictObject({ name: z.string().min(1).max(253), role: z.enum(['view', 'operate', 'admin', 'member']) }))
    .max(256)
    .default([]),
  /** Further host names by which the API is called. */
  hosts: z.array(z.string().min(1).max(253)).max(64).default([]),
  /** Whether callers on this machine may change things without token or certificate. Web pages and copies are never trusted for it. */
  loopback: z.enum(['token', 'trusted']).default('token'),
});

/** What every engine has. */
const serverShape = {
  /** Folder of the server's programs; without it a server of `version` is looked for. */
  binDir: path.optional(),
  dataDir: path,
  /** Where applications and the other members reach this server; the default is `listen`. */
  advertise: addressSchema.optional(),
  /** Server parameters of this node only. */
  parameters: parametersSchema.default({}),
  /** Certificates of the server; without them connections to it are not encrypted (docs/three-hosts.md makes them). */
  tls: z
    .strictObject({
      ca: path,
      cert: path,
      key: path,
      /** `full`: a server's certificate must name the address by which it is reached. `ca`: any certificate of the authority will do. */
      verify: z.enum(['full', 'ca']).default('full'),
      /** `authority`: that certificates name their members is not relied on yet (docs/config.md, Certificates). */
      identity: z.enum(['name', 'authority']).optional(),
    })
    .optional(),
};

const postgresSchema = z.strictObject({
  kind: z.literal('postgres'),
  ...serverShape,
  /** Major version, e.g. "17". */
  version: z
    .union([z.string(), z.number()])
    .transform(String)
    .pipe(z.string().regex(/^\d{1,2}(\.\d+)?$/, 'a major version such as "17"'))
    .optional(),
  listen: addressSchema.prefault('127.0.0.1:5432'),
  /** Further arguments of initdb, for the member that founds the cluster. */
  initdb: z.array(z.string().min(1).max(1024)).max(64).default([]),
});

/** What MySQL and MariaDB have in common, which is everything but the name. */
const binlogShape = {
  ...serverShape,
  /** A series or a version. Text, because the number 11.10 is 11.1. */
  version: z
    .string('must be text in quotes, e.g. "9.7"')
    .regex(/^\d{1,3}(\.\d{1,3}){0,2}$/, 'must be a version such as "9.7" or "11.8"')
    .optional(),
  listen: addressSchema.prefault('127.0.0.1:3306'),
  /** `server_id` of this server: different on every member of the cluster, and the same for ever. */
  serverId: z.number().int().min(1).max(0xffff_ffff),
  /** The user's own configuration file of the server; it is read before what Understudy sets. */
  userConfig: path.optional(),
};

const engineSchema = z.discriminatedUnion('kind', [
  postgresSchema,
  z.strictObject({ kind: z.literal('mysql'), ...binlogShape }),
  z.strictObject({ kind: z.literal('mariadb'), ...binlogShape }),
]);

const DAY_MS = 24 * 3600 * 1000;

/** What is late on purpose can neither be counted on, nor lead, nor answer for the present. */
const lateByNature = { nofailover: true, nosync: true, noloadbalance: true } as const;

const tagsSchema = z
  .strictObject({
    nofailover: z.boolean().default(DEFAULT_TAGS.nofailover),
    nosync: z.boolean().default(DEFAULT_TAGS.nosync),
    noloadbalance: z.boolean().default(DEFAULT_TAGS.noloadbalance),
    priority: z.number().int().min(0).max(1000).default(DEFAULT_TAGS.priority),
    zone: z.string().min(1).max(64).nullable().default(DEFAULT_TAGS.zone),
    /** How much later than it could the server applies what it receives, in ms. */
    delayMs: z
      .number()
      .int()
      .min(0)
      .max(7 * DAY_MS)
      .default(DEFAULT_TAGS.delayMs),
  })
  .transform((tags) => (tags.delayMs > 0 ? { ...tags, ...lateByNature } : tags));

const guardSchema = z.strictObject({
  /** `required`: a server is not opened for writes without a guard. `off`: no guard; an agent that freezes is then not fenced here. */
  mode: z.enum(['required', 'off']).default('required'),
  /** Who starts a dead agent again. `automatic`: the guard, unless a service manager started the agent. */
  restartAgent: z.enum(['automatic', 'always', 'never']).default('automatic'),
  /** Kernel watchdog that resets the machine when the guard, too, stops. Its timeout is the driver's (`softdog soft_margin=…`). */
  watchdog: z
    .strictObject({ device: path.default('/dev/watchdog'), mode: z.enum(['automatic', 'required']) })
    .optional(),
});

const logsSchema = z.strictObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** File to append to; without it the log goes to standard output. */
  file: path.optional(),
  /** When the file is larger, it is moved to `FILE.1` (in place of an older one) and begun anew. */
  maxBytes: z
    .number()
    .int()
    .min(64 * 1024)
    .max(GIB)
    .default(64 * 1024 * 1024),
  /** Limit of the ring of decisions that `understudy explain --replay` reads. */
  decisionsBytes: z
    .number()
    .int()
    .min(64 * 1024)
    .max(GIB)
    .default(16 * 1024 * 1024),
});

/** The file's schema. Relative paths are meant from the file's folder; {@link loadNodeConfig} makes them absolute. */
export const nodeConfigSchema = z.strictObject({
  cluster: clusterName,
  member: memberNameSchema,
  store: storeSchema,
  api: apiSchema.prefault({}),
  /** Links beyond this machine may go without TLS: whoever listens there reads everything, the tokens included. */
  insecure: z.boolean().default(false),
  engine: engineSchema,
  /** JSON file, mode 0600: see {@link secretsSchema}. */
  secretsFile: path,
  /** Folder for locks, sockets and the ring of decisions; of this agent alone. */
  runDir: path,
  /** Folder for what should survive a restart of the host: the store's memory and the ring of decisions. Default: `runDir`. */
  stateDir: path.optional(),
  tags: tagsSchema.prefault({}),
  guard: guardSchema.prefault({}),
  logs: logsSchema.prefault({}),
  /** How much of the disk replaced data may take. What may be the only copy is never deleted for it; no further copy is made by itself then. */
  asideBudgetBytes: z
    .number()
    .int()
    .min(0)
    .default(20 * GIB),
});

/** A checked configuration: defaults filled in, addresses taken apart, paths absolute. */
export type NodeConfig = z.output<typeof nodeConfigSchema>;
/** What is written in the file. */
export type NodeConfigInput = z.input<typeof nodeConfigSchema>;
