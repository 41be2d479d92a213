import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

/** `understudy restore-store`: the open primary's agent writes what it knows back into an emptied store. */
export async function restoreStore(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const client = new ClusterClient(await findTarget(targetOptionsSchema.parse(given), context.io.env));
  await client.postToAny('/understudy/store/restore');
  if (context.format === 'json') printJson(context, { restored: true });
  else print(context, ['Restored: the store holds the leadership, the members and the configuration again.']);
  return EXIT.done;
}
