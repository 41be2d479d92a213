import { askPair, checkResultSchema } from '@understudy/pair';
import { z } from 'zod';
import { requirePair } from '../client/pair.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { plural } from '../output/text.ts';
import { problemLines } from '../render/pair.ts';
import { pairOptionsSchema } from './pair-show.ts';
import { answerSlackMs } from './pair-switch.ts';

const optionsSchema = pairOptionsSchema.extend({ timeout: z.number() });

/** `understudy pair check` */
export async function check(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { timeout, ...choice } = optionsSchema.parse(given);
  const { socket } = await requirePair(choice);
  note(context, 'Comparing all tables …');
  const result = await askPair(socket, { op: 'check', timeoutMs: timeout }, checkResultSchema, timeout + answerSlackMs);
  const { tables, rows, remarks, problems } = result;
  if (context.format === 'json') printJson(context, result);
  else {
    const width = context.io.out.columns();
    const seen = `${plural(rows, 'row')} of ${plural(tables, 'table')} compared`;
    const verdict =
      problems.length === 0 ? context.style.green('equal') : context.style.red(plural(problems.length, 'problem'));
    print(context, [
      `${verdict}  ${seen}`,
      ...remarks,
      ...problems.flatMap((each) => problemLines(each, context.style, width)),
    ]);
  }
  return problems.length === 0 ? EXIT.done : EXIT.failed;
}
