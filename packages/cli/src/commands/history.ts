import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { renderHistory } from '../render/history.ts';

const optionsSchema = targetOptionsSchema.extend({ last: z.number().optional() });

/** `understudy history` */
export async function history(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const client = new ClusterClient(await findTarget(options, context.io.env));
  const all = (await client.history()).toSorted((a, b) => a.epoch - b.epoch);
  const shown = options.last === undefined ? all : all.slice(-options.last);
  if (context.format === 'json') printJson(context, shown);
  else print(context, renderHistory(shown, context.style, context.io.out.columns()));
  return EXIT.done;
}
