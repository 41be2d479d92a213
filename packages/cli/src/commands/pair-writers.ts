import { askPair, writersResultSchema } from '@understudy/pair';
import { z } from 'zod';
import { requirePair } from '../client/pair.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { pairOptionsSchema } from './pair-show.ts';
import { answerSlackMs } from './pair-switch.ts';

const optionsSchema = pairOptionsSchema.extend({ timeout: z.number() });

/** `understudy pair writers one|both` */
export async function writers(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const { timeout, ...choice } = optionsSchema.parse(given);
  const which = z.enum(['one', 'both']).safeParse(args[0]);
  if (!which.success) throw new CliError('USAGE', `"${args[0]}" is not known.`, { next: 'Write "one" or "both".' });
  const { socket } = await requirePair(choice);
  const request = { op: 'writers', writers: which.data, timeoutMs: timeout } as const;
  const result = await askPair(socket, request, writersResultSchema, timeout + answerSlackMs);
  if (context.format === 'json') printJson(context, result);
  else {
    const text =
      result.writers === 'one'
        ? 'One server takes writes.'
        : 'Both servers take writes. Offsets keep AUTO_INCREMENT values apart; look for other conflicts with "understudy pair show".';
    print(context, [`${context.style.green('done')}  ${text}`]);
  }
  return EXIT.done;
}
