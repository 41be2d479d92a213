import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { reportOutcome } from '../client/outcome.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note } from '../context.ts';
import { CliError } from '../errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import { confirm } from '../questions.ts';

const optionsSchema = targetOptionsSchema.extend({ wait: z.number(), yes: z.boolean().optional() });

/** `understudy reinit MEMBER` */
export async function reinit(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const [member = ''] = args;
  const client = new ClusterClient(await findTarget(options, context.io.env), context.interruption());
  // On a terminal a person is asked; a script has decided already.
  if (options.yes !== true && context.io.input.isTTY === true && context.format === 'text') {
    const question = `Replace the data of ${member} by a new copy of the leader's? Its old data is moved aside.`;
    if ((await confirm(context, question, '--yes')) === 'no') {
      throw new CliError('NOT_CONFIRMED', 'Nothing was changed.', '');
    }
  }
  note(context, `Asking for a new copy of ${member} …`);
  const code = reportOutcome(context, await client.request('/reinitialize', { member }, options.wait), options.wait);
  note(context, 'How far it is: understudy status --watch');
  return code;
}

/** `understudy restart MEMBER` */
export async function restart(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const [member = ''] = args;
  const client = new ClusterClient(await findTarget(options, context.io.env), context.interruption());
  note(context, `Asking ${member} to restart …`);
  return reportOutcome(context, await client.request('/restart', { member }, options.wait), options.wait);
}
