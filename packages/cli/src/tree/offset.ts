import { type Command, Option } from 'commander';
import { formatDuration } from '../output/text.ts';
import { duration, type Tree, withCommon, withExamples } from './define.ts';

const accountText = 'option file with the user and the password that replicas log in with ([client] group)';

/** `offset status|setup|switchover|failover`: two servers without GTIDs (`docs/offset.md`). */
export function addOffsetCommands({ program, attach }: Tree): void {
  const offset = program
    .command('offset')
    .summary('two MySQL or MariaDB servers without GTIDs: set up, look, exchange their roles')
    .helpGroup('Acting:');
  offset.description(
    'For servers that somebody else runs and that replicate by file and offset (docs/offset.md). A server is named by\n' +
      'mysql://user@host:port (its password in MYSQL_PWD) or by an option file with a [client] group.',
  );
  withExamples(offset.helpOption('-h, --help', 'show this help'), [
    ['understudy offset status --primary db1.cnf --replica db2.cnf', ''],
    ['understudy offset switchover --primary db1.cnf --replica db2.cnf --account repl.cnf', ''],
  ]);

  const status = offset
    .command('status')
    .description('How far the replica is, in bytes of log, and why it has stopped if it has.');
  withExamples(withCommon(withServers(status)), [
    ['understudy offset status --primary mysql://root@10.0.0.1 --replica mysql://root@10.0.0.2', ''],
    ['understudy offset status --primary db1.cnf --replica db2.cnf --json', ''],
  ]);
  attach(status, async () => (await import('../commands/offset-status.ts')).status);

  const setup = offset
    .command('setup')
    .description(
      'Checks both servers, copies the primary to the empty replica in one transaction, and lets it follow from that place.',
    )
    .requiredOption('--account <file>', accountText)
    .option('--bin-dir <folder>', 'take the programs that copy from this folder');
  withExamples(withCommon(withServers(setup)), [
    ['understudy offset setup --primary db1.cnf --replica db2.cnf --account repl.cnf', ''],
  ]);
  attach(setup, async () => (await import('../commands/offset-setup.ts')).setup);

  const switchover = offset
    .command('switchover')
    .description(
      'Exchanges the roles without loss: each step has a deadline and, until the replica is opened, a way back.',
    )
    .requiredOption('--account <file>', accountText)
    .addOption(
      new Option('--timeout <duration>', 'how long it may take before it is undone')
        .argParser(duration(1000, 3_600_000))
        .default(30_000, formatDuration(30_000)),
    );
  withExamples(withCommon(withServers(switchover)), [
    ['understudy offset switchover --primary db1.cnf --replica db2.cnf --account repl.cnf', ''],
    ['understudy offset switchover --primary db2.cnf --replica db1.cnf --account repl.cnf', 'and back'],
  ]);
  attach(switchover, async () => (await import('../commands/offset-switchover.ts')).switchover);

  const failover = offset
    .command('failover')
    .description('Is refused without GTIDs: says why, and the steps to GTIDs.');
  withExamples(withCommon(withServers(failover)), [
    ['understudy offset failover --primary db1.cnf --replica db2.cnf', ''],
  ]);
  attach(failover, async () => (await import('../commands/offset-failover.ts')).failover);
}

function withServers(command: Command): Command {
  return command
    .requiredOption('--primary <server>', 'mysql://user@host:port, or an option file')
    .requiredOption('--replica <server>', 'the same');
}
