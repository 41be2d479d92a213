import { resolve } from 'node:path';
import { readLogin } from '@understudy/local';
import {
  checkRouterConfig,
  loadRouterConfig,
  type RouterConfig,
  type RouterConfigInput,
  startRouter,
} from '@understudy/router';
import { z } from 'zod';
import { findTarget, type Target, targetOptionsSchema } from '../client/target.ts';
import { type Context, print, printJsonLine } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

const optionsSchema = targetOptionsSchema.extend({
  file: z.string().optional(),
  listen: z.string(),
  listenReadOnly: z.string().optional(),
  servers: z.string().optional(),
  authUser: z.string().optional(),
  passwordFile: z.string().optional(),
  workers: z.number().optional(),
  pooling: z.string().optional(),
  poolSize: z.number().optional(),
});
type Options = z.infer<typeof optionsSchema>;

interface Setup {
  readonly config: RouterConfig;
  /** Null: it stands in a file that the configuration names. */
  readonly password: string | null;
}

/** `understudy router`: one router in the foreground, until it is told to end. */
export async function router(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const signal = context.interruption();
  const { config, password } = await setupOf(options, context);
  const running = await startRouter(config, {
    onEvent: (event) => {
      if (context.format === 'json') printJsonLine(context, event);
      else print(context, [event.text]);
    },
    ...(password === null ? {} : { password }),
  });
  await new Promise<void>((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });
  await running.stop();
  return EXIT.done;
}

async function setupOf(options: Options, context: Context): Promise<Setup> {
  if (options.file !== undefined) return { config: await loadRouterConfig(resolve(options.file)), password: null };
  const common = {
    listen: {
      readWrite: options.listen,
      ...(options.listenReadOnly === undefined ? {} : { readOnly: options.listenReadOnly }),
    },
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(options.pooling === undefined ? {} : { pooling: poolingOf(options.pooling) }),
    ...(options.poolSize === undefined ? {} : { pool: { size: options.poolSize } }),
  };
  if (options.servers !== undefined) {
    const cluster = { servers: serversIn(options.servers) };
    return { config: checked({ ...common, cluster, auth: authOf(options) }), password: null };
  }
  const target = await findTarget(options, context.io.env);
  const cluster = {
    agents: [...target.urls],
    ...(target.tls.ca === undefined ? {} : { caFile: await caFileOf(target, options) }),
  };
  if (target.folder !== null && options.passwordFile === undefined) {
    const { user, password } = await readLogin(target.folder);
    const auth = { user: options.authUser ?? user };
    return { config: checked({ ...common, cluster, auth, serverTls: await serverTlsOf(target.folder) }), password };
  }
  return { config: checked({ ...common, cluster, auth: authOf(options) }), password: null };
}

function poolingOf(text: string): 'session' | 'transaction' {
  if (text === 'session' || text === 'transaction') return text;
  throw new CliError('USAGE', `"${text}" is no way of pooling.`, {
    next: 'Use --pooling session or --pooling transaction.',
  });
}

const checked = (input: RouterConfigInput): RouterConfig => checkRouterConfig(input, 'The command line');

function authOf({ authUser, passwordFile }: Options): { user: string; passwordFile: string } {
  if (passwordFile === undefined) {
    const next = 'Write it into a file that only you can read, and name that with --password-file FILE.';
    throw new CliError('USAGE', 'The router needs the password of the user that reads the verifiers.', { next });
  }
  return { user: authUser ?? 'postgres', passwordFile: resolve(passwordFile) };
}

/** As the servers of a cluster of this machine want it. */
async function serverTlsOf(folder: string): Promise<RouterConfigInput['serverTls']> {
  const { describeCluster } = await import('@understudy/local');
  const caFile = (await describeCluster({ folder }))?.databaseCaFile ?? null;
  return caFile === null ? { mode: 'disable' } : { mode: 'verify-full', caFile };
}

/** The authority that the agents' certificates are checked with, as a file: worker processes and reloads read it again. */
async function caFileOf({ folder }: Target, { ca }: Options): Promise<string> {
  if (ca !== undefined) return resolve(ca);
  const { describeCluster } = await import('@understudy/local');
  const found = folder === null ? null : await describeCluster({ folder });
  if (found?.caFile != null) return found.caFile;
  throw new CliError('USAGE', 'The authority of the agents is not known as a file.', {
    next: 'Name it with --ca FILE.',
  });
}

function serversIn(list: string): { name: string; host: string; port: number }[] {
  return list.split(',').map((each) => {
    const found = /^\s*([^=\s]+)=(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})\s*$/.exec(each);
    if (found === null) {
      throw new CliError('USAGE', `"${each}" is not like n1=host:port.`, {
        next: 'Example: --servers n1=db1:5432,n2=db2:5432',
      });
    }
    const [, name = '', v6, host = '', port] = found;
    return { name, host: v6 ?? host, port: Number(port) };
  });
}
