import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { toYaml } from '../config/document.ts';
import { type Context, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

/** `understudy config show` */
export async function show(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const client = new ClusterClient(await findTarget(targetOptionsSchema.parse(given), context.io.env));
  const { config } = await client.config();
  if (context.format === 'json') printJson(context, config);
  else context.io.out.write(toYaml(config));
  return EXIT.done;
}
