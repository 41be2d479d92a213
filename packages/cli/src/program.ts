import { Command, Help } from 'commander';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { stripStyle, visibleWidth } from './output/style.ts';
import { addAsideCommands } from './tree/aside.ts';
import { addCertCommands } from './tree/cert.ts';
import { addConfigCommands } from './tree/config.ts';
import type { Handler, Tree } from './tree/define.ts';
import { addLocalCommands } from './tree/local.ts';
import { addMemberCommands } from './tree/member.ts';
import { addNodeCommands } from './tree/node.ts';
import { addOffsetCommands } from './tree/offset.ts';
import { addOperateCommands } from './tree/operate.ts';
import { addPairCommands } from './tree/pair.ts';
import { addSecretsCommands } from './tree/secrets.ts';
import { addToolCommands } from './tree/tools.ts';
import { addTopologyCommands } from './tree/topology.ts';
import { versionOf } from './version.ts';

/**
 * The whole command tree: names, options, help. Nothing that a command needs to run is loaded here.
 *
 * @param onExit told the exit code of the command that was run
 */
export function buildProgram(context: Context, onExit: (code: ExitCode) => void): Command {
  const program = new Command('understudy');
  configure(program, context);
  program
    .description(
      'High availability for PostgreSQL, MySQL and MariaDB: replicas, failover in about a second, nothing acknowledged is lost.',
    )
    .usage('<command> [options]')
    .version(versionOf(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .addHelpCommand(new Command('help').argument('[command]').summary('show the help of a command').helpGroup('Other:'))
    .addHelpText('after', exitCodesText);
  const attach = (command: Command, load: () => Promise<Handler>): void => {
    command.action(async () => {
      const handler = await load();
      const options: unknown = command.opts();
      onExit(await handler(context, command.args, options));
    });
  };
  const tree: Tree = { program, attach };
  addLocalCommands(tree);
  addOperateCommands(tree);
  addPairCommands(tree);
  addOffsetCommands(tree);
  addMemberCommands(tree);
  addTopologyCommands(tree);
  addAsideCommands(tree);
  addConfigCommands(tree);
  addSecretsCommands(tree);
  addNodeCommands(tree);
  addCertCommands(tree);
  addToolCommands(tree);
  return program;
}

const exitCodesText = `
Examples:
  understudy up                    # three PostgreSQL servers with failover, on this machine
  understudy status --watch        # in another terminal
  understudy switchover --to n2    # move the primary, with a pause of a fraction of a second
  understudy help failover

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 refused by the cluster; 4 unreachable; 130 interrupted.`;

/** Errors go through our own report; help is as wide as the terminal and coloured only where that is wanted. */
function configure(program: Command, context: Context): void {
  const { io, style } = context;
  program.exitOverride();
  program.configureOutput({
    writeOut: (text) => io.out.write(text),
    // Only the help of a group of commands without its subcommand: that is an error of ours.
    writeErr: () => undefined,
    outputError: () => undefined,
    getOutHelpWidth: () => Math.min(io.out.columns(), 120),
    getErrHelpWidth: () => Math.min(io.out.columns(), 120),
    getOutHasColors: () => true,
    getErrHasColors: () => true,
    stripColor: stripStyle,
  });
  program.configureHelp({
    showGlobalOptions: false,
    styleTitle: style.bold,
    styleCommandText: style.cyan,
    displayWidth: visibleWidth,
    subcommandTerm: (command) => new Help().subcommandTerm(command).replace(' [options]', ''),
  });
  program.showSuggestionAfterError(true);
}
