import { isAbsolute } from 'node:path';
import { EngineError } from '@understudy/engine';
import type { Log } from '@understudy/engine/host';
import { z } from 'zod';

const absolutePath = z.string().refine(isAbsolute, 'must be an absolute path');
const secret = z.string().min(8, 'must have at least 8 characters');
const parameterName = z
  .string()
  .regex(/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/i, 'is not the name of a server parameter');

/** Everything that one PostgreSQL engine needs to know before it meets its server. */
export const postgresOptionsSchema = z.strictObject({
  /** Name of the cluster: written into the data directory, so that a directory of another cluster is refused. */
  cluster: z.string().min(1).max(80),
  /** Name of this member; its replication stream is called `standbyName`. */
  member: z.string().regex(/^[A-Za-z0-9_-]{1,40}$/, 'must be letters, digits, "-" or "_", at most 40'),
  dataDir: absolutePath,
  /** Private folder for the socket, the server's log and the password file of the receiver. Short: a socket path holds 107 bytes. */
  runDir: absolutePath.refine((path) => Buffer.byteLength(path) <= 88, 'must be at most 88 bytes long (socket path)'),
  listen: z.strictObject({ host: z.string().min(1).default('127.0.0.1'), port: z.int().min(1).max(65535) }),
  binaries: z.strictObject({
    binDir: absolutePath,
    libraryPath: z.string().optional(),
    /** `pg_rewind` of the server's own major version; without it a diverged copy is made anew. */
    pgRewind: absolutePath.optional(),
  }),
  /** Whom to run the server as; needed when this process is root. */
  runAs: z.strictObject({ uid: z.int().min(1), gid: z.int().min(0) }).nullable(),
  secrets: z.strictObject({ superuser: secret, replication: secret, rewind: secret, monitor: secret }),
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
  /** Server parameters of this node; those of the cluster win over them, protected ones over both. */
  parameters: z.record(parameterName, z.string()).default({}),
  initdbArgs: z.array(z.string()).default([]),
  /** Who may connect, as addresses in the syntax of `pg_hba.conf`; passwords (scram) are always needed. */
  allowFrom: z
    .array(z.string().regex(/^[^\s#"]+$/))
    .min(1)
    .default(['all']),
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
export type PostgresOptions = z.output<typeof postgresOptionsSchema>;

/** What `createPostgresEngine` takes. */
export type PostgresEngineInput = z.input<typeof postgresOptionsSchema> & {
  readonly log?: Log;
  /** The monotonic clock that `notAfter` of a promotion is read against; by default `process.hrtime`. In ms. */
  readonly clock?: () => number;
};

/**
 * Checks options.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED` that names each wrong option.
 */
export function parseOptions(input: z.input<typeof postgresOptionsSchema>): PostgresOptions {
  const parsed = postgresOptionsSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'options'}: ${issue.message}`);
  throw new EngineError('ENGINE_DATA_REFUSED', `Wrong options for the PostgreSQL engine: ${problems.join('; ')}.`);
}
