import { CommanderError } from 'commander';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { failureOf } from './failure.ts';
import { interruptionOf } from './interruption.ts';
import type { Io } from './output/io.ts';
import { PLAIN, styleFor } from './output/style.ts';
import { buildProgram } from './program.ts';
import { reportFailure } from './report.ts';

/**
 * Runs one command line.
 *
 * @param argv without the program's own name
 * @returns the exit code; nothing is thrown
 */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  // Read before the parser has said whether the line is right: its complaints have a form and a colour too.
  const words = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length);
  const format = words.includes('--json') ? 'json' : 'text';
  const colour = words.includes('--no-color') ? 'never' : 'automatic';
  const debug = words.includes('--debug') ? 'on' : 'off';
  const context: Context = {
    io,
    format,
    style: format === 'json' ? PLAIN : styleFor(io.out, io.env, colour),
    errStyle: styleFor(io.err, io.env, colour),
    interruption: interruptionOf(),
  };
  try {
    let code: ExitCode = EXIT.done;
    const program = buildProgram(context, (ended) => {
      code = ended;
    });
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (thrown) {
    const error = thrown instanceof CommanderError ? usageError(thrown, argv) : thrown;
    if (error === null) return EXIT.done;
    const failure = failureOf(error);
    reportFailure(io, context.errStyle, failure, { format, debug, error: thrown });
    return failure.exitCode;
  }
}

/** The parser's complaint in our form; null for its way of saying that help or the version was shown. */
function usageError(error: CommanderError, argv: readonly string[]): CliError | null {
  if (error.exitCode === 0) return null;
  if (error.code === 'commander.help') {
    if (argv[0] === 'help')
      return new CliError('USAGE', `There is no command "${argv.slice(1).join(' ')}".`, {
        next: 'understudy --help lists them.',
      });
    return new CliError('USAGE', 'This command needs a subcommand.', { next: 'Add --help to see which there are.' });
  }
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = /^\(Did you mean (.*)\?\)$/.exec(rest.join(' '))?.[1];
  const help = 'Add --help to see the commands, with examples.';
  const next = suggestion === undefined ? help : `Did you mean "${suggestion.replace(/^one of /, '')}"?`;
  return new CliError('USAGE', sentence(first), { next });
}

function sentence(text: string): string {
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
