import { offsetSwitchover } from '@understudy/pair';
import { z } from 'zod';
import { type Context, note, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { formatDuration } from '../output/text.ts';
import { accountOf, offsetOptionsSchema, withServers } from './offset-servers.ts';

const optionsSchema = offsetOptionsSchema.extend({ account: z.string(), timeout: z.number() });

/** `understudy offset switchover` */
export async function switchover(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { account, timeout, ...servers } = optionsSchema.parse(given);
  const login = accountOf(account);
  // Ended in the middle it could leave both closed: it is undone at its deadline, and not before.
  context.interruption();
  const result = await withServers(context, servers, ({ primary, replica }) =>
    offsetSwitchover(primary, replica, login, timeout, (text) => note(context, `… ${text}`)),
  );
  if (context.format === 'json') printJson(context, result);
  else {
    print(context, [
      `${context.style.green('done')}  ${result.primary} is the primary now (it executed ${result.executed} exactly); no writes for ${formatDuration(result.pauseMs)}.`,
      `      ${result.replica} follows it from ${result.from}.`,
      'Exchange read_only (MySQL: super_read_only) in the files of both, so that a restart keeps the roles.',
    ]);
  }
  return EXIT.done;
}
