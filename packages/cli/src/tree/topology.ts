import { Option } from 'commander';
import { formatDuration } from '../output/text.ts';
import { duration, type Tree, withCommon, withExamples, withTarget } from './define.ts';

/** `topology show|move`. */
export function addTopologyCommands({ program, attach }: Tree): void {
  const topology = program
    .command('topology')
    .summary('show which member follows which, and let replicas follow replicas')
    .helpGroup('Acting:');
  topology.description(
    'The tree of replicas: every replica below the leader, or some below other replicas (docs/topology.md).',
  );
  withExamples(topology.helpOption('-h, --help', 'show this help'), [
    ['understudy topology show', ''],
    ['understudy topology move n3 --under n2', ''],
  ]);

  const show = topology.command('show').description('Shows the tree from the leader down, with the lag of each hop.');
  withExamples(withCommon(withTarget(show)), [
    ['understudy topology show', ''],
    ['understudy topology show --json | jq .tree', ''],
  ]);
  attach(show, async () => (await import('../commands/topology-show.ts')).show);

  const move = topology
    .command('move')
    .description(
      'Lets a replica receive from another replica, or from the leader. Checks first, and waits until it has arrived and caught up.\nRestores the old configuration when that does not happen in time.',
    )
    .argument('<member>', 'a replica')
    .requiredOption('--under <member>', 'its new upstream: a replica, or "leader"')
    .option('-n, --dry-run', 'check, change nothing')
    .addOption(
      new Option('--timeout <duration>', 'how long it may take before it is undone')
        .argParser(duration(1000, 3_600_000))
        .default(60_000, formatDuration(60_000)),
    );
  withExamples(withCommon(withTarget(move)), [
    ['understudy topology move n3 --under n2', 'n3 below n2'],
    ['understudy topology move n3 --under leader', 'and back'],
    ['understudy topology move n3 --under n2 --dry-run', 'would it work?'],
  ]);
  attach(move, async () => (await import('../commands/topology-move.ts')).move);
}
