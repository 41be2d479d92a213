import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

/** `understudy pause` */
export async function pause(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  return set(context, given, 'pause', 'Paused: nobody is elected and nothing is repaired until "understudy resume".');
}

/** `understudy resume` */
export async function resume(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  return set(context, given, 'resume', 'Resumed: failover is possible again.');
}

async function set(context: Context, given: unknown, what: 'pause' | 'resume', text: string): Promise<ExitCode> {
  const client = new ClusterClient(await findTarget(targetOptionsSchema.parse(given), context.io.env));
  await client.post('POST', `/understudy/${what}`);
  if (context.format === 'json') printJson(context, { paused: what === 'pause' });
  else print(context, [text]);
  return EXIT.done;
}
