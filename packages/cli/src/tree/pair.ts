import { type Command, Option } from 'commander';
import { formatDuration } from '../output/text.ts';
import { duration, type Tree, withCommon, withExamples } from './define.ts';

/** `pair show|switch|writers|check|repair`: two primaries with offsets (`docs/circular.md`). */
export function addPairCommands({ program, attach }: Tree): void {
  const pair = program
    .command('pair')
    .summary('two servers that replicate from each other: look, switch, compare, repair')
    .helpGroup('Acting:');
  pair.description(
    'A circular pair of MySQL or MariaDB servers, made with "understudy up --topology circular" (docs/circular.md).\n' +
      'It is not an elected cluster and promises less; "show" says what it does not promise.',
  );
  withExamples(pair.helpOption('-h, --help', 'show this help'), [
    ['understudy pair show', ''],
    ['understudy pair switch --to n2', ''],
  ]);

  const show = pair
    .command('show')
    .description('Both servers, what they disagree about, and what this mode cannot promise.');
  withExamples(withCommon(withFolder(show)), [
    ['understudy pair show', ''],
    ['understudy pair show --json | jq .problems', ''],
  ]);
  attach(show, async () => (await import('../commands/pair-show.ts')).show);

  const change = pair
    .command('switch')
    .description(
      'Moves the active role without loss: closes the active server, waits until both are equal, opens the other.',
    )
    .addOption(new Option('--to <node>', 'the server that takes over (default: the passive one)').choices(['n1', 'n2']))
    .addOption(timeoutOption('how long it may take before it is undone', 10_000));
  withExamples(withCommon(withFolder(change)), [
    ['understudy pair switch', ''],
    ['understudy pair switch --to n1 --timeout 30s', ''],
  ]);
  attach(change, async () => (await import('../commands/pair-switch.ts')).switchActive);

  const writers = pair
    .command('writers')
    .description(
      'Says which servers take writes: the active one, or both. With both, offsets keep AUTO_INCREMENT values apart and nothing else:\n' +
        'other conflicts are found after they have happened.',
    )
    .argument('<which>', 'one or both')
    .addOption(timeoutOption('how long it may take before it is undone', 10_000));
  withExamples(withCommon(withFolder(writers)), [
    ['understudy pair writers both', ''],
    ['understudy pair writers one', ''],
  ]);
  attach(writers, async () => (await import('../commands/pair-writers.ts')).writers);

  const check = pair
    .command('check')
    .description(
      'Compares all tables of both servers now, and names the rows that differ. Exits with 1 when there are some.',
    )
    .addOption(timeoutOption('how long it may take', 600_000));
  withExamples(withCommon(withFolder(check)), [
    ['understudy pair check', ''],
    ['understudy pair check --json', ''],
  ]);
  attach(check, async () => (await import('../commands/pair-check.ts')).check);

  const repair = pair
    .command('repair')
    .description(
      'Repairs what the servers disagree about: shows what it will do, keeps the rows of one server, and writes discarded rows into\n' +
        'a file. No transaction is ever skipped. Without an argument it lists what there is to repair.',
    )
    .argument('[id]', 'what to repair, as "pair show" names it: apart, stop, row:SCHEMA.TABLE:KEY')
    .addOption(new Option('--keep <node>', 'whose rows are kept').choices(['n1', 'n2']))
    .option('-y, --yes', 'do not ask')
    .addOption(timeoutOption('how long it may take', 60_000));
  withExamples(withCommon(withFolder(repair)), [
    ['understudy pair repair', 'what there is'],
    ['understudy pair repair stop --keep n1', 'shows what it will do, and asks'],
    ['understudy pair repair row:app.orders:17 --keep n2 --yes', 'in a script'],
  ]);
  attach(repair, async () => (await import('../commands/pair-repair.ts')).repair);
}

function withFolder(command: Command): Command {
  const group = 'Which pair (default: the one that "understudy up" keeps here):';
  const add = (flags: string, text: string): Option => new Option(flags, text).helpGroup(group);
  return command
    .addOption(add('--data-dir <folder>', 'folder of the pair'))
    .addOption(add('--cluster <name>', 'name of the pair'));
}

function timeoutOption(text: string, defaultMs: number): Option {
  return new Option('--timeout <duration>', text)
    .argParser(duration(100, 86_400_000))
    .default(defaultMs, formatDuration(defaultMs));
}
