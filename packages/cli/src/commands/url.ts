import { z } from 'zod';
import { findTarget, type Target, targetOptionsSchema } from '../client/target.ts';
import { connectionString } from '../connection-string.ts';
import { type Context, print, printJson } from '../context.ts';
import { engineFacts } from '../engine/facts.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type Servers, serversOf, servingOrder } from '../sql/hosts.ts';

const optionsSchema = targetOptionsSchema.extend({
  user: z.string().optional(),
  database: z.string().optional(),
  readOnly: z.boolean().optional(),
  withPassword: z.boolean().optional(),
});

/** `understudy url` */
export async function url(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const target = await findTarget(options, context.io.env);
  const wanted = options.readOnly === true ? 'prefer-standby' : 'read-write';
  const { engine, hosts, caFile = null } = await orderedFor(target, wanted);
  const facts = engineFacts(engine);
  const { user = facts.user, database = facts.database } = options;
  const password = options.withPassword === true ? await superuserPassword(target, user, facts.user) : null;
  const text = connectionString(engine, {
    hosts,
    user,
    database,
    target: wanted,
    caFile,
    ...(password === null ? {} : { password }),
  });
  if (context.format === 'json') printJson(context, { url: text, hosts, user, database });
  else print(context, [text]);
  return EXIT.done;
}

/** The servers, the wanted one first where the client cannot find it by itself. */
async function orderedFor(target: Target, wanted: 'read-write' | 'prefer-standby'): Promise<Servers> {
  const servers = await serversOf(target);
  if (servers.engine === 'postgres') return servers;
  const { engine, hosts, leader } = await servingOrder(target);
  const [first, ...others] = hosts;
  if (first === undefined || first.name !== leader) {
    throw new CliError('UNREACHABLE', 'No server of the cluster is open for writes now.', {
      next: 'See: understudy status',
      retry: 'safe',
    });
  }
  return { engine, hosts: wanted === 'read-write' ? hosts : [...others, first] };
}

async function superuserPassword(target: Target, user: string, superuser: string): Promise<string> {
  if (target.folder === null || user !== superuser) {
    const next = 'Ask the person who keeps the passwords of that cluster.';
    throw new CliError('USAGE', 'Only the superuser of a cluster of this machine has its password kept here.', {
      next,
    });
  }
  const { readLogin } = await import('@understudy/local');
  return (await readLogin(target.folder)).password;
}
