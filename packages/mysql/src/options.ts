import { isAbsolute } from 'node:path';
import { EngineError, type OpenCopy } from '@understudy/engine';
import type { Log } from '@understudy/engine/host';
import { z } from 'zod';
import type { Seam } from './seam.ts';

const absolutePath = z.string().refine(isAbsolute, 'must be an absolute path');
const secret = z
  .string()
  .min(8, 'must have at least 8 characters')
  .max(32, 'must have at most 32 characters (a limit of replication passwords)')
  .regex(/^[\x20-\x7e]+$/, 'must be printable ASCII');
const parameterName = z.string().regex(/^[a-z][a-z0-9_.-]*$/i, 'is not the name of a server variable');

/** Everything that the engine of one MySQL or MariaDB server needs to know before it meets its server. */
export const mysqlOptionsSchema = z.strictObject({
  /** Name of the cluster: written into the data directory, so that a directory of another cluster is refused. */
  cluster: z.string().min(1).max(80),
  member: z.string().regex(/^[A-Za-z0-9_-]{1,40}$/, 'must be letters, digits, "-" or "_", at most 40'),
  /** Different on every member of the cluster, and the same for ever. */
  serverId: z.int().min(1).max(0xffffffff),
  dataDir: absolutePath,
  /** Private folder for the socket, the generated configuration and the server's log. Short: a socket path holds 107 bytes. */
  runDir: absolutePath.refine((path) => Buffer.byteLength(path) <= 88, 'must be at most 88 bytes long (socket path)'),
  /** Where the templates of new databases are kept, one per server version; shared by any number of members. */
  cacheDir: absolutePath,
  listen: z.strictObject({ host: z.string().min(1).default('127.0.0.1'), port: z.int().min(1).max(65535) }),
  binaries: z.strictObject({
    /** The folder with `bin`, `sbin`, `share` and `lib` of the server. */
    baseDir: absolutePath,
    /** `mysqld` or `mariadbd`; by default looked for below `baseDir`. */
    server: absolutePath.optional(),
    libraryPath: z.string().optional(),
  }),
  /** Whom to run the server as; needed when this process is root. */
  runAs: z.strictObject({ uid: z.int().min(1), gid: z.int().min(0) }).nullable(),
  secrets: z.strictObject({ admin: secret, replication: secret, clone: secret, monitor: secret }),
  /** Files of one authority's certificate and this node's own certificate and key; null: no TLS between nodes. */
  tls: z
    .strictObject({
      ca: absolutePath,
      cert: absolutePath,
      key: absolutePath,
      /** `full`: a certificate must name the address by which a member is reached. `ca`: any certificate of the authority does. */
      verify: z.enum(['ca', 'full']).default('full'),
      /** `authority`: names of members in certificates are not relied on, as long as not all have them. */
      identity: z.enum(['name', 'authority']).optional(),
    })
    .nullable()
    .default(null),
  /** Where, without TLS, a password may go out encrypted with a key that the other end names itself. */
  plain: z.enum(['loopback', 'anywhere']).default('loopback'),
  /** The user's own configuration file; it is read before ours. */
  userConfig: absolutePath.nullable().default(null),
  /** Server variables of this node; those of the cluster win over them, protected ones over both. */
  parameters: z.record(parameterName, z.string()).default({}),
  /** Replaced data directories that are kept: at most `keep` of them and `maxBytes` in all. */
  aside: z
    .strictObject({
      maxBytes: z
        .int()
        .min(0)
        .default(20 * 1024 ** 3),
      keep: z.int().min(0).default(2),
    })
    .default({ maxBytes: 20 * 1024 ** 3, keep: 2 }),
  /** How long an ordinary or handing-over stop may take before it is given up. */
  stopTimeoutMs: z.int().min(100).default(10_000),
});

/** The options with defaults filled in. */
export type MysqlOptions = z.output<typeof mysqlOptionsSchema>;

/** What `createMysqlEngine` takes. */
export type MysqlEngineInput = z.input<typeof mysqlOptionsSchema> & {
  readonly log?: Log;
  /** How the files of another member are got; without it every copy of a MariaDB is made as statements. */
  readonly openCopy?: OpenCopy;
  /** The monotonic clock that `notAfter` of a promotion is read against; by default `process.hrtime`. In ms. */
  readonly clock?: () => number;
  /** For tests: where a command is stopped. */
  readonly seam?: Seam | undefined;
};

/**
 * Checks options.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED` that names each wrong option.
 */
export function parseOptions(input: z.input<typeof mysqlOptionsSchema>): MysqlOptions {
  const parsed = mysqlOptionsSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'options'}: ${issue.message}`);
  const text = `Wrong options for the MySQL engine: ${problems.join('; ')}.`;
  throw new EngineError('ENGINE_DATA_REFUSED', text);
}
