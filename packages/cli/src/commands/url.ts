import type { StatusView } from '@understudy/agent/client';
import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, type Target, targetOptionsSchema } from '../client/target.ts';
import { connectionString } from '../connection-string.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

const optionsSchema = targetOptionsSchema.extend({
  user: z.string(),
  database: z.string(),
  readOnly: z.boolean().optional(),
  withPassword: z.boolean().optional(),
});

interface Host {
  readonly host: string;
  readonly port: number;
}

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

/** As the agents say; for a cluster of this machine that does not run, as its folder says. */
async function hostsOf(target: Target): Promise<readonly Host[]> {
  if (target.folder !== null) {
    const { describeCluster } = await import('@understudy/local');
    const found = await describeCluster({ folder: target.folder });
    if (found !== null) return found.nodes.map(({ host, dbPort }) => ({ host, port: dbPort }));
  }
  const { status } = await new ClusterClient(target).look();
  return leaderFirst(status);
}

/** A client tries the hosts in their order: the leader first saves it a connection. */
function leaderFirst(status: StatusView): readonly Host[] {
  const members = status.members.toSorted((a, b) => Number(b.id === status.leader) - Number(a.id === status.leader));
  return members.flatMap(({ host, port }) => (host === null || port === null ? [] : [{ host, port }]));
}

async function superuserPassword(target: Target, user: string): Promise<string> {
  if (target.folder === null || user !== 'postgres') {
    const next = 'Ask whoever keeps the passwords of that cluster, and put it into PGPASSFILE.';
    throw new CliError('USAGE', 'Only the superuser of a cluster of this machine has its password kept here.', next);
  }
  const { readLogin } = await import('@understudy/local');
  return (await readLogin(target.folder)).password;
}
