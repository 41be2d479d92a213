import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { asArguments, ownCommand } from '../invocation.ts';
import { liveLines } from '../output/screen.ts';

/** `understudy drill`: its options are read by the drill itself. */
export async function drill({ io, style }: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { drillCommand } = await import('@understudy/drill');
  const live = io.err.isTTY ? liveLines(io.err) : null;
  const code = await drillCommand(asArguments(Object(given), ['color', 'debug']), ownCommand, {
    out: (text) => io.out.write(text),
    err: (text) => io.err.write(text),
    moving: (line) => live?.show([line]),
    clear: () => live?.clear(),
    red: style.red,
  });
  return Object.values(EXIT).find((known) => known === code) ?? EXIT.failed;
}
