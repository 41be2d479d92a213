import { pairStatus } from '@understudy/pair';
import { z } from 'zod';
import { requirePair } from '../client/pair.ts';
import { type Context, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { renderPair } from '../render/pair.ts';

/** Which pair, as the parser gives it. */
export const pairOptionsSchema = z.object({ dataDir: z.string().optional(), cluster: z.string().optional() });

/** `understudy pair show` */
export async function show(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const status = await pairStatus(await requirePair(pairOptionsSchema.parse(given)));
  if (context.format === 'json') printJson(context, status);
  else print(context, renderPair(status, context.style, context.io.out.columns()));
  return EXIT.done;
}
