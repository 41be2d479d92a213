import { z } from 'zod';
import { carryOut } from '../client/carry-out.ts';
import { reportOutcome } from '../client/outcome.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note } from '../context.ts';
import { CliError } from '../errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import { confirm } from '../questions.ts';
import { awaitCopy } from './await-copy.ts';
import { beginMs, restartOne } from './restart-one.ts';
import { restartRolling } from './restart-rolling.ts';

/** `--no-wait` is `--wait 0`. */
const wait = z.union([z.number(), z.literal(false)]).transform((value) => (value === false ? 0 : value));
const reinitSchema = targetOptionsSchema.extend({ wait, yes: z.boolean().optional() });
const restartSchema = targetOptionsSchema.extend({
  wait,
  force: z.boolean().optional(),
  pending: z.boolean().optional(),
  rolling: z.boolean().optional(),
});

/** `understudy reinit MEMBER` */
export async function reinit(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = reinitSchema.parse(given);
  const [member = ''] = args;
  const target = await findTarget(options, context.io.env);
  // On a terminal a person is asked; a script has decided already.
  if (options.yes !== true && context.io.input.isTTY === true && context.format === 'text') {
    const question = `Replace the data of ${member} with a clone of the leader's? Its old data is moved aside.`;
    if ((await confirm(context, question, '--yes')) === 'no') {
      throw new CliError('NOT_CONFIRMED', 'Nothing was changed.');
    }
  }
  note(context, `Asking for a clone of ${member} …`);
  const signal = context.interruption();
  const waitMs = options.wait === 0 ? 0 : beginMs;
  const state = await carryOut({ target, path: '/reinitialize', body: { member }, waitMs, signal });
  if (options.wait === 0 || state.state !== 'ended' || state.outcome.result !== 'done') {
    return reportOutcome(context, state, waitMs);
  }
  return awaitCopy(context, target, member, options.wait, signal);
}

/** `understudy restart [MEMBER]` */
export async function restart(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = restartSchema.parse(given);
  const [member] = args;
  const target = await findTarget(options, context.io.env);
  const several = options.pending === true || options.rolling === true;
  if ((member === undefined) !== several) {
    throw new CliError('USAGE', 'Name one member, or say --rolling, --pending or both.', {
      next: 'See: understudy restart --help',
    });
  }
  if (member === undefined) return restartRolling(context, target, options);
  return restartOne(context, target, member, options);
}
