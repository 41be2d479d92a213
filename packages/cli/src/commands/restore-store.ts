import type { RestoreView } from '@understudy/agent/client';
import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { confirmByTyping } from '../questions.ts';

const optionsSchema = targetOptionsSchema.extend({
  fromMembers: z.boolean().optional(),
  force: z.boolean().optional(),
  yes: z.boolean().optional(),
});

/**
 * `understudy restore-store`: the newest known decisions go back into a store that was emptied or put back; by the open primary's
 * agent, or, without one, by the agent that knows most of all members.
 */
export async function restoreStore(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const client = new ClusterClient(await findTarget(options, context.io.env), context.interruption());
  const from = options.fromMembers === true ? 'members' : 'primary';
  if (from === 'primary') {
    if (options.force === true) {
      throw new CliError('USAGE', '--force goes with --from-members.', {
        next: 'Add --from-members, or leave --force out.',
      });
    }
    report(context, (await client.restore({ from })).view);
    return EXIT.done;
  }
  const { url, view } = await client.restore({ from, plan: 'only', force: options.force === true });
  const text = [view.summary, ...view.losses].join('\n');
  if (view.losses.length > 0 && options.force !== true) {
    throw new CliError('REFUSED', text, {
      next: 'Start who is missing and try again, or accept what is named with --force.',
    });
  }
  if (options.yes === true) note(context, text);
  else await confirmByTyping(context, text, `epoch ${view.epoch}`, '--yes');
  const body = { from, epoch: view.epoch, force: options.force === true };
  report(context, (await client.restore(body, [url])).view);
  return EXIT.done;
}

function report(context: Context, view: RestoreView): void {
  if (context.format === 'json') printJson(context, view);
  else
    print(context, [
      `Restored: the store holds the leadership, the members and the configuration again. ${view.summary}`,
    ]);
}
