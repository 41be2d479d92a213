import { z } from 'zod';
import { findTarget, type Target, targetOptionsSchema } from '../client/target.ts';
import { connectionString } from '../connection-string.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { hostsOf } from '../sql/hosts.ts';

const optionsSchema = targetOptionsSchema.extend({
  user: z.string(),
  database: z.string(),
  readOnly: z.boolean().optional(),
  withPassword: z.boolean().optional(),
});

/** `understudy url` */
export async function url(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const target = await findTarget(options, context.io.env);
  const password = options.withPassword === true ? await superuserPassword(target, options.user) : null;
  const hosts = await hostsOf(target);
  const text = connectionString({
    hosts,
    user: options.user,
    database: options.database,
    target: options.readOnly === true ? 'prefer-standby' : 'read-write',
    ...(password === null ? {} : { password }),
  });
  if (context.format === 'json')
    printJson(context, { url: text, hosts, user: options.user, database: options.database });
  else print(context, [text]);
  return EXIT.done;
}

async function superuserPassword(target: Target, user: string): Promise<string> {
  if (target.folder === null || user !== 'postgres') {
    const next = 'Ask whoever keeps the passwords of that cluster, and put it into PGPASSFILE.';
    throw new CliError('USAGE', 'Only the superuser of a cluster of this machine has its password kept here.', next);
  }
  const { readLogin } = await import('@understudy/local');
  return (await readLogin(target.folder)).password;
}
