import { z } from 'zod';
import { carryOut } from '../client/carry-out.ts';
import { ClusterClient } from '../client/cluster.ts';
import { reportOutcome } from '../client/outcome.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

const optionsSchema = targetOptionsSchema.extend({
  to: z.string().optional(),
  from: z.string().optional(),
  at: z.string().optional(),
  cancel: z.boolean().optional(),
  timeout: z.number().optional(),
  wait: z.number(),
});

/** `understudy switchover` */
export async function switchover(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const target = await findTarget(options, context.io.env);
  const signal = context.interruption();
  if (options.cancel === true) return cancel(context, new ClusterClient(target, signal));
  const { to, from, at, timeout } = options;
  // A scheduled one is not waited for: whoever asked has gone home by then.
  const waitMs = at === undefined ? options.wait : 0;
  if (waitMs > 0) note(context, `Switching over${to === undefined ? '' : ` to ${to}`} …`);
  const body = {
    ...(to === undefined ? {} : { to }),
    ...(from === undefined ? {} : { from }),
    ...(at === undefined ? {} : { scheduled_at: at }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  };
  return reportOutcome(context, await carryOut({ target, path: '/switchover', body, waitMs, signal }), waitMs);
}

async function cancel(context: Context, client: ClusterClient): Promise<ExitCode> {
  const { status } = await client.look();
  if (status.request?.kind !== 'switchover') {
    throw new CliError('REFUSED', 'No switchover is scheduled.', { next: 'See: understudy status' });
  }
  await client.post('DELETE', '/switchover');
  if (context.format === 'json') printJson(context, { cancelled: status.request.id });
  else print(context, [`Called off: ${status.request.text}.`]);
  return EXIT.done;
}
