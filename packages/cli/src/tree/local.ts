import { Option } from 'commander';
import { formatDuration } from '../output/text.ts';
import { SHAPES } from '../topology/shape.ts';
import { duration, integer, type Tree, withCommon, withExamples } from './define.ts';

const group = 'Clusters on this machine:';
const folderText = 'folder of the cluster (default: .understudy/NAME)';

/** `up`, `down`, `destroy`: a whole cluster on this machine. */
export function addLocalCommands({ program, attach }: Tree): void {
  const up = program.command('up').summary('start a cluster on this machine, until Ctrl-C').helpGroup(group);
  up.description(
    'Starts a cluster of real servers on this machine and keeps it running until Ctrl-C, which stops everything.\n' +
      'Its data is kept: the next "understudy up" goes on with it. A new cluster takes the options below; an existing one keeps its own.',
  )
    .option('-n, --nodes <number>', 'number of nodes (default: 3)', integer(1, 9))
    .addOption(
      new Option('--engine <kind>', 'which database (default: postgres)').choices(['postgres', 'mysql', 'mariadb']),
    )
    .option(
      '--server-version <version>',
      'PostgreSQL 15, 17, 18, … (default: what npm brought, 17); MySQL 9.7; MariaDB 10.11, 11.8 (default: the newest here)',
    )
    .addOption(new Option('--pg-version <major>', 'the older name of --server-version').hideHelp())
    .option('--bin-dir <folder>', 'take the server from this folder')
    .addOption(new Option('--store <kind>', 'consensus store (default: local)').choices(['local', 'etcd']))
    .addOption(new Option('--etcd-members <number>', 'members of the etcd that is started').choices(['1', '3']))
    .addOption(
      new Option('--durability <kind>', 'whether commits wait for a replica (default: sync)').choices([
        'sync',
        'async',
      ]),
    )
    .addOption(
      new Option('--tls <what>', 'encrypt nothing, all but etcd, or all (default: all)').choices([
        'off',
        'replication',
        'all',
      ]),
    )
    .addOption(
      new Option(
        '--topology <shape>',
        'which member follows which: star, chain, tree (docs/topology.md), or circular: two MySQL or MariaDB servers that replicate from each other, without elections (docs/circular.md) (default: star)',
      ).choices([...SHAPES, 'circular']),
    )
    .addOption(
      new Option('--writers <which>', 'circular: which servers take writes (default: one)').choices(['one', 'both']),
    )
    .addOption(
      new Option('--check-every <duration>', 'circular: how often tables are compared (default: 30 s)').argParser(
        duration(1000, 86_400_000),
      ),
    )
    .option('--name <name>', 'name of the cluster (default: default)')
    .option('--data-dir <folder>', folderText)
    .option('-p, --parameter <name=value...>', 'parameter of every server')
    .option('-d, --detach', 'leave it running in the background; end it with "understudy down"')
    .addOption(
      new Option('--timeout <duration>', 'how long until it has to be ready')
        .argParser(duration(1000, 3_600_000))
        .default(120_000, formatDuration(120_000)),
    );
  withExamples(withCommon(up), [
    ['understudy up', 'three nodes, synchronous'],
    ['understudy up --nodes 5 --store etcd', 'five nodes, with an etcd of its own'],
    ['understudy up --topology chain', 'n3 receives from n2'],
    ['understudy up --server-version 18 --name eighteen', 'another cluster beside it'],
    ['understudy up --engine mysql --name my', 'MySQL'],
    ['understudy up --detach', 'in the background'],
    ['understudy up --engine mariadb --topology circular --name two', 'two primaries with offsets'],
  ]);
  attach(up, async () => (await import('../commands/up.ts')).up);

  const down = program.command('down').summary('stop a cluster of this machine; its data is kept').helpGroup(group);
  down
    .description(
      'Stops a cluster that another terminal or "up --detach" runs, and the processes that a killed one left behind.',
    )
    .option('--name <name>', 'name of the cluster (default: default)')
    .option('--data-dir <folder>', folderText)
    .addOption(
      new Option('--timeout <duration>', 'how long it may take')
        .argParser(duration(1000, 3_600_000))
        .default(60_000, formatDuration(60_000)),
    );
  withExamples(withCommon(down), [
    ['understudy down', ''],
    ['understudy down --name eighteen', ''],
  ]);
  attach(down, async () => (await import('../commands/down.ts')).down);

  const destroy = program
    .command('destroy')
    .summary('stop a cluster of this machine and delete its data')
    .helpGroup(group);
  destroy
    .description('Stops a cluster of this machine and deletes its folder with all data. Asks first.')
    .option('--name <name>', 'name of the cluster (default: default)')
    .option('--data-dir <folder>', folderText)
    .option('-y, --yes', 'do not ask');
  withExamples(withCommon(destroy), [
    ['understudy destroy', 'asks for the name of the cluster'],
    ['understudy destroy --name eighteen --yes', 'in a script'],
  ]);
  attach(destroy, async () => (await import('../commands/destroy.ts')).destroy);
}
