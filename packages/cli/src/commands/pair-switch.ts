import { askPair, switchResultSchema } from '@understudy/pair';
import { z } from 'zod';
import { requirePair } from '../client/pair.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { formatDuration } from '../output/text.ts';
import { pairOptionsSchema } from './pair-show.ts';

const optionsSchema = pairOptionsSchema.extend({ to: z.enum(['n1', 'n2']).optional(), timeout: z.number() });
/** What the answer may take longer than the change itself: it may have to be undone. */
export const answerSlackMs = 30_000;

/** `understudy pair switch` */
export async function switchActive(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { to = null, timeout, ...choice } = optionsSchema.parse(given);
  const { socket } = await requirePair(choice);
  note(context, 'Switching …');
  const request = { op: 'switch', to, timeoutMs: timeout } as const;
  const result = await askPair(socket, request, switchResultSchema, timeout + answerSlackMs);
  if (context.format === 'json') printJson(context, result);
  else {
    const pause = formatDuration(result.pauseMs);
    print(context, [`${context.style.green('done')}  ${result.active} is the active one now. No writes for ${pause}.`]);
  }
  return EXIT.done;
}
