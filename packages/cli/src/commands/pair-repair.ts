import {
  askPair,
  type PairDescription,
  pairStatus,
  planSchema,
  type RepairPlan,
  repairResultSchema,
} from '@understudy/pair';
import { z } from 'zod';
import { requirePair } from '../client/pair.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { confirm } from '../questions.ts';
import { problemLines } from '../render/pair.ts';
import { pairOptionsSchema } from './pair-show.ts';
import { answerSlackMs } from './pair-switch.ts';

const optionsSchema = pairOptionsSchema.extend({
  keep: z.enum(['n1', 'n2']).optional(),
  yes: z.boolean().optional(),
  timeout: z.number(),
});
const planTimeoutMs = 60_000;

/** `understudy pair repair` */
export async function repair(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const { keep, yes, timeout, ...choice } = optionsSchema.parse(given);
  const pair = await requirePair(choice);
  const [id] = args;
  if (id === undefined) return list(context, pair);
  if (keep === undefined)
    throw new CliError('USAGE', 'It has to be said whose rows are kept.', { next: 'Add --keep n1 or --keep n2.' });
  if (yes !== true) {
    const plan = await askPair(pair.socket, { op: 'plan', id, keep }, planSchema, planTimeoutMs);
    if (context.format === 'json') {
      printJson(context, plan);
      return EXIT.done;
    }
    showPlan(context, plan);
    const answer = await confirm(context, 'Do this?', '--yes');
    if (answer === 'no') throw new CliError('NOT_CONFIRMED', 'Nothing was changed.');
  }
  const request = { op: 'repair', id, keep, timeoutMs: timeout } as const;
  const result = await askPair(pair.socket, request, repairResultSchema, timeout + answerSlackMs);
  if (context.format === 'json') printJson(context, result);
  else {
    const kept = result.artifact === null ? [] : [`What was discarded is kept in ${result.artifact}.`];
    print(context, [`${context.style.green('done')}  ${id}`, ...result.done.map((line) => `  ${line}`), ...kept]);
  }
  return EXIT.done;
}

async function list(context: Context, pair: PairDescription): Promise<ExitCode> {
  const { problems } = await pairStatus(pair);
  const width = context.io.out.columns();
  if (context.format === 'json') printJson(context, problems);
  else if (problems.length === 0) print(context, ['Nothing to repair. Compare all tables with: understudy pair check']);
  else
    print(
      context,
      problems.flatMap((problem) => problemLines(problem, context.style, width)),
    );
  return EXIT.done;
}

function showPlan(context: Context, { problem, steps }: RepairPlan): void {
  const lines = problemLines(problem, context.style, context.io.out.columns()).slice(0, -1);
  print(context, [...lines, '', 'What will be done:', ...steps.map((step, index) => `  ${index + 1}. ${step}`)]);
}
