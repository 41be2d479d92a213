import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { asArguments, ownCommand } from '../invocation.ts';

/** `understudy drill`: its options are read by the drill itself. */
export async function drill(_context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { drillCommand } = await import('@understudy/drill');
  const code = await drillCommand(asArguments(Object(given), ['color', 'debug']), ownCommand);
  return Object.values(EXIT).find((known) => known === code) ?? EXIT.failed;
}
