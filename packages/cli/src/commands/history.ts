import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { renderChanges, renderHistory } from '../render/history.ts';

const optionsSchema = targetOptionsSchema.extend({ last: z.number().optional(), changes: z.boolean().optional() });

/** `understudy history` */
export async function history(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const client = new ClusterClient(await findTarget(options, context.io.env));
  if (options.changes === true) return changes(context, client, options.last);
  const all = (await client.history()).toSorted((a, b) => a.epoch - b.epoch);
  const shown = options.last === undefined ? all : all.slice(-options.last);
  if (context.format === 'json') printJson(context, shown);
  else print(context, renderHistory(shown, context.style, context.io.out.columns()));
  return EXIT.done;
}

/** What was changed through the agents, and by whom: each keeps a record of its own. */
async function changes(context: Context, client: ClusterClient, last: number | undefined): Promise<ExitCode> {
  const { views, silent } = await client.changes();
  const all = views
    .flatMap(({ member, changes: own }) => own.map((change) => ({ member, ...change })))
    .toSorted((a, b) => a.wallMs - b.wallMs);
  const shown = last === undefined ? all : all.slice(-last);
  if (context.format === 'json') printJson(context, { changes: shown, silent });
  else {
    print(context, renderChanges(shown, context.style, context.io.out.columns()));
    if (silent.length > 0) print(context, [`Without those of ${silent.join(', ')}: no answer.`]);
  }
  return EXIT.done;
}
