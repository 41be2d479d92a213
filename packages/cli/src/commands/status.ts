import type { PairDescription } from '@understudy/pair';
import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { pairHere } from '../client/pair.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { pendingRestarts, problemsOf } from '../render/member.ts';
import { renderPair } from '../render/pair.ts';
import { renderStatus } from '../render/status.ts';

const optionsSchema = targetOptionsSchema.extend({
  watch: z.boolean().optional(),
  interval: z.number(),
  check: z.boolean().optional(),
});

/** `understudy status` */
export async function status(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const pair = await pairHere(options, context.io.env);
  if (pair !== null) return statusOfPair(context, pair, options);
  const target = await findTarget(options, context.io.env);
  if (options.watch === true) {
    const { watch } = await import('./watch.ts');
    return watch(context, target, options.interval);
  }
  const { status: view } = await new ClusterClient(target).look();
  if (context.format === 'json') printJson(context, view);
  else print(context, renderStatus(view, { style: context.style, width: context.io.out.columns() }));
  const restarts = pendingRestarts(view.members).map((text) => `a restart is needed on ${text}`);
  const problems = options.check === true ? [...problemsOf(view), ...restarts] : [];
  if (problems.length > 0) {
    throw new CliError('UNHEALTHY', `The cluster is not healthy: ${problems.join('; ')}.`, {
      next: 'Ask why: understudy explain',
      retry: 'safe',
    });
  }
  return EXIT.done;
}

async function statusOfPair(
  context: Context,
  pair: PairDescription,
  { watch, interval, check }: Pick<z.infer<typeof optionsSchema>, 'watch' | 'interval' | 'check'>,
): Promise<ExitCode> {
  const { pairStatus } = await import('@understudy/pair');
  if (watch === true) {
    const { watchPair } = await import('./watch-pair.ts');
    return watchPair(context, pair, interval);
  }
  const status = await pairStatus(pair);
  if (context.format === 'json') printJson(context, status);
  else print(context, renderPair(status, context.style, context.io.out.columns()));
  if (check !== true || status.whole) return EXIT.done;
  const causes = [...status.problems.map(({ id }) => id), ...status.notes];
  const text = `The pair is not healthy: ${causes.join('; ') || 'a server is not where it should be'}.`;
  throw new CliError('UNHEALTHY', text, { next: 'See: understudy pair show', retry: 'safe' });
}
