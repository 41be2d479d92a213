import { Option } from 'commander';
import { databaseText, duration, type Tree, userText, withCommon, withExamples, withTarget } from './define.ts';

const group = 'Trying and testing:';

/** `probe`, `sql`, `drill`, `servers`, `version`, `completion`. */
export function addToolCommands({ program, attach }: Tree): void {
  addTrying({ program, attach });
  addDrill({ program, attach });
  addServers({ program, attach });
  const version = program.command('version').summary('print the version of this command').helpGroup('Other:');
  version.description('Prints the version of this command and of the Node that runs it.');
  withExamples(withCommon(version), [
    ['understudy version', ''],
    ['understudy version --json', ''],
  ]);
  attach(version, async () => (await import('../commands/version.ts')).version);

  const completion = program.command('completion').summary('print a completion script for a shell').helpGroup('Other:');
  completion.description('Prints a script that completes commands and options.');
  const shells = ['bash', 'zsh', 'fish'];
  completion.argument('<shell>', shells.join(', '));
  withExamples(withCommon(completion), [
    ['source <(understudy completion bash)', 'in ~/.bashrc'],
    ['understudy completion zsh > ~/.zfunc/_understudy', 'with ~/.zfunc in fpath'],
    ['understudy completion fish > ~/.config/fish/completions/understudy.fish', ''],
  ]);
  attach(completion, async () => {
    const { completionFor } = await import('../commands/completion.ts');
    return (context, args) => completionFor(context, args, program);
  });
}

function addServers({ program, attach }: Tree): void {
  const servers = program.command('servers').summary('list or fetch database servers').helpGroup(group);
  servers.description(
    'Finds PostgreSQL, MySQL and MariaDB on this machine, and fetches servers that are missing into a cache folder, without root.',
  );
  withExamples(servers.helpOption('-h, --help', 'show this help'), [
    ['understudy servers list', ''],
    ['understudy servers get mysql-9.7', ''],
  ]);
  const list = servers.command('list').description('Lists what is here and what can be fetched.');
  withExamples(withCommon(list), [['understudy servers list', '']]);
  attach(list, async () => (await import('../commands/servers.ts')).list);
  const get = servers
    .command('get')
    .description('Fetches servers that are missing.')
    .argument('<name...>', 'such as postgres-18, mysql-9.7, mariadb-11.8, etcd-3.5');
  withExamples(withCommon(get), [['understudy servers get postgres-18 etcd-3.5', '']]);
  attach(get, async () => (await import('../commands/servers.ts')).get);
}

function addTrying({ program, attach }: Tree): void {
  const probe = program
    .command('probe')
    .summary('write continuously, and say how long each interruption was')
    .helpGroup(group);
  probe
    .description(
      'Writes numbered rows to the current primary until Ctrl-C. Says how long each interruption was, and checks at the end that\n' +
        'no acknowledged row is missing. The rows are in a table of its own, understudy_probe, which is dropped again.',
    )
    .addOption(
      new Option('--every <duration>', 'time between two rows').argParser(duration(1, 60_000)).default(10, '10 ms'),
    )
    .addOption(new Option('--for <duration>', 'end by itself after this long').argParser(duration(100, 86_400_000)))
    .option('-u, --user <name>', userText)
    .option('-d, --database <name>', databaseText);
  withExamples(withCommon(withTarget(probe)), [
    ['understudy probe', 'in a second terminal; kill the primary in a third'],
    ['understudy probe --for 30s --json', ''],
  ]);
  attach(probe, async () => (await import('../commands/probe.ts')).probe);

  const sql = program.command('sql').summary('run SQL on the primary, without another client').helpGroup(group);
  sql
    .description(
      'Runs a statement on the primary (or, with --on, on one member) and prints the rows. Without a statement it reads standard input.',
    )
    .argument('[statement]', 'SQL')
    .option('--on <member>', 'on this member, whatever its role')
    .option('-u, --user <name>', userText)
    .option('-d, --database <name>', databaseText);
  withExamples(withCommon(withTarget(sql)), [
    ['understudy sql "select now()"', ''],
    ['understudy sql --on n2 "select pg_is_in_recovery()"', 'read a replica'],
    ['understudy sql < schema.sql', ''],
  ]);
  attach(sql, async () => (await import('../commands/sql.ts')).sql);
}

function addDrill({ program, attach }: Tree): void {
  const drill = program
    .command('drill')
    .summary('break a cluster of its own, and check that nothing was lost')
    .helpGroup(group);
  drill
    .description(
      'Builds a cluster of its own, injects faults while many clients write, heals them, and checks every node for acknowledged writes\n' +
        'that were lost. Prints the write outage that clients saw. As root every node gets a host of its own (network namespaces).\n' +
        'Exit codes of its own: 1 when something was lost or a node did not become healthy, 3 when it could not be carried out.',
    )
    .option(
      '--faults <list>',
      'comma-separated, or all (default: kill-database, kill-host, partition, freeze, freeze-agent, kill-agent, store-down, switchover); also ' +
        'partition-one-way, half-open-link, slow-link, zombie-primary, slow-disk, stalled-disk, kill-guard, kill-replica, kill-all, double, ' +
        'restart, restart-primary-in-place, semi-sync-replica-loss, replica-relay-corrupt, kill-host-and-store, flood, flood-database',
    )
    .option('--runs <number>', 'how often each is injected (default: 5)')
    .option('--engine <kind>', 'postgres (default), mysql or mariadb')
    .option('--store <kind>', 'local (default) or etcd')
    .option('--etcd-members <number>', "1 (default), 3, or hosts: one on each node's host, lost with it (root)")
    .option('--nodes <number>', 'number of nodes (default: 3)')
    .option('--durability <kind>', 'sync (default) or async')
    .option('--server-version <version>', 'version of the server (older name, for PostgreSQL: --pg-version)')
    .addOption(new Option('--pg-version <major>', 'major version of PostgreSQL').hideHelp())
    .option('--bin-dir <folder>', 'take the server from this folder')
    .option('--hosts <kind>', 'namespaces (root), loopback, or automatic (default)')
    .option('--writers <number>', 'clients that write at once (default: 20)')
    .option('--every-ms <number>', 'time between two inserts of one client (default: 20)')
    .option('--deadline-ms <number>', 'how long a client waits for an answer (default: 500)')
    .option('--calm-ms <number>', 'writes before each fault (default: 2000)')
    .option('--converge-ms <number>', 'time to become healthy again (default: 60000)')
    .option('--load <number>', 'inject each as often again beside so many busy processes (default: 0, not at all)')
    .option(
      '--floor-runs <number>',
      'how often the floor of this machine is measured first (default: 3; 0: not at all)',
    )
    .option('--data-dir <folder>', "the cluster's folder (default: a new one, removed afterwards)")
    .option('--keep', 'keep that folder')
    .option(
      '--tour',
      'instead: company_db, retail_db and pgbench or sysbench through kill, switchover and rejoin, checksums compared on every node',
    )
    .option('--log-level <level>', 'of the agents: info (default) or debug');
  withExamples(withCommon(drill), [
    ['understudy drill --faults all --runs 1', 'every fault once'],
    ['understudy drill --faults kill-database,freeze --runs 20 --store etcd', ''],
    ['understudy drill --engine mariadb', ''],
    ['understudy drill --engine mysql --tour', 'tutorial tables and sysbench'],
    ['understudy drill --json > report.json', ''],
  ]);
  attach(drill, async () => (await import('../commands/drill.ts')).drill);
}
