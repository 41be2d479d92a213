import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { renderTopology, topologyJson } from '../render/topology.ts';

/** `understudy topology show` */
export async function show(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = targetOptionsSchema.parse(given);
  const { status } = await new ClusterClient(await findTarget(options, context.io.env)).look();
  if (context.format === 'json') printJson(context, topologyJson(status));
  else print(context, renderTopology(status, context.style, context.io.out.columns()));
  return EXIT.done;
}
