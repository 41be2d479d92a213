import { type Command, Option } from 'commander';
import { formatDuration } from '../output/text.ts';
import {
  databaseText,
  duration,
  integer,
  moment,
  type Tree,
  userText,
  withCommon,
  withExamples,
  withTarget,
} from './define.ts';

const looking = 'Looking:';
const acting = 'Acting:';
const waitText = 'how long to wait for the outcome (0: do not wait)';

/** Commands that talk to a running cluster. */
export function addOperateCommands(tree: Tree): void {
  addLooking(tree);
  addPlanned(tree);
  addForced(tree);
  addMemberWork(tree);
  addRequest(tree);
  addPause(tree);
}

function finish(command: Command, examples: readonly (readonly [string, string])[]): void {
  withExamples(withCommon(withTarget(command)), examples);
}

function addLooking({ program, attach }: Tree): void {
  const status = program
    .command('status')
    .summary('show who leads, how far the others are, what could be lost')
    .helpGroup(looking);
  status
    .description(
      'Shows roles, states, epoch, timelines, lag, the recovery point, and what each node is doing or waiting for.',
    )
    .option('-w, --watch', 'keep showing it until Ctrl-C')
    .addOption(
      new Option('-i, --interval <duration>', 'how often to look with --watch')
        .argParser(duration(100, 60_000))
        .default(500, formatDuration(500)),
    )
    .option(
      '--check',
      'exit with 1 when the cluster is not healthy (no open leader, a member that does not replicate or needs a restart)',
    );
  finish(status, [
    ['understudy status', ''],
    ['understudy status --watch', 'in a second terminal while you try things'],
    ['understudy status --json | jq .rpo', ''],
    ['understudy status --api https://10.0.0.1:8008 --ca ca.pem', 'another machine'],
  ]);
  attach(status, async () => (await import('../commands/status.ts')).status);

  const history = program.command('history').summary('show every change of leader, and why').helpGroup(looking);
  history.option('-n, --last <number>', 'only the last ones', integer(1, 100_000));
  history.option('--changes', 'who asked for which change, from where and when, and how it ended (HTTP status)');
  finish(history, [
    ['understudy history', ''],
    ['understudy history --last 5 --json', ''],
    ['understudy history --changes --last 20', 'what operators did'],
  ]);
  attach(history, async () => (await import('../commands/history.ts')).history);

  const explain = program
    .command('explain')
    .summary('say why each node does what it does, and who would be next')
    .helpGroup(looking);
  explain
    .description(
      'Prints the latest decision of each member (or of one): reasons, proof, who would lead next and why not the others.',
    )
    .argument('[member]', 'only this one');
  finish(explain, [
    ['understudy explain', ''],
    ['understudy explain n2', ''],
  ]);
  attach(explain, async () => (await import('../commands/explain.ts')).explain);

  const url = program.command('url').summary('print the connection string of the primary').helpGroup(looking);
  url
    .description(
      'Prints a connection string. Of PostgreSQL: with all nodes, which libpq, JDBC and others follow to whichever is the primary.\n' +
        'Of MySQL and MariaDB: of the primary of this moment; ask again after a failover.',
    )
    .option('-u, --user <name>', userText)
    .option('-d, --database <name>', databaseText)
    .option('--read-only', 'a replica instead of the primary, where there is one')
    .option('--with-password', 'put the password of the superuser into it (clusters of this machine only)');
  finish(url, [
    ['understudy url', ''],
    ['psql "$(understudy url --with-password)"', 'psql on the primary, whichever it is'],
  ]);
  attach(url, async () => (await import('../commands/url.ts')).url);
}

function addPlanned({ program, attach }: Tree): void {
  const switchover = program
    .command('switchover')
    .summary('move the primary to another node, losing nothing')
    .helpGroup(acting);
  switchover
    .description(
      'Checks, stops writes, lets a replica that has all of them take over, and lets the old primary follow. Undone when it does not work in time.',
    )
    .option('--to <member>', 'the member to promote (default: the fittest)')
    .option('--from <member>', 'refuse unless this one leads now')
    .option('--at <time>', 'not before: 2027-01-31T03:00:00+01:00, 03:00 or +10min', moment(Date.now))
    .option('--cancel', 'cancel a scheduled switchover')
    .option('--timeout <duration>', 'how long writes may be stopped before it is undone', duration(500, 3_600_000))
    .addOption(
      new Option('--wait <duration>', waitText).argParser(duration(0, 600_000)).default(60_000, formatDuration(60_000)),
    );
  finish(switchover, [
    ['understudy switchover', ''],
    ['understudy switchover --to n2', ''],
    ['understudy switchover --to n2 --at 03:00', 'tonight'],
  ]);
  attach(switchover, async () => (await import('../commands/switchover.ts')).switchover);
}

function addForced({ program, attach }: Tree): void {
  const failover = program.command('failover').summary('promote another node').helpGroup(acting);
  failover
    .description(
      'Without --force: a failover now, with the same proof as an automatic one. It loses nothing that was acknowledged, or is refused.\n' +
        'With --force: without that proof. It says what would be lost, and asks you to type the name of the member.',
    )
    .requiredOption('--to <member>', 'the member to promote')
    .option('--force', 'without proof; may lose acknowledged writes')
    .option('--yes-lose-data', 'with --force: do not ask (for scripts)')
    .option('--timeout <duration>', 'how long it may take', duration(500, 3_600_000))
    .addOption(
      new Option('--wait <duration>', waitText).argParser(duration(0, 600_000)).default(60_000, formatDuration(60_000)),
    );
  finish(failover, [
    ['understudy failover --to n2', 'only if nothing is lost by it'],
    ['understudy failover --to n2 --force', 'shows what would be lost, then asks'],
  ]);
  attach(failover, async () => (await import('../commands/failover.ts')).failover);
}

function addMemberWork({ program, attach }: Tree): void {
  const reinit = program
    .command('reinit')
    .summary("replace a replica's data with a clone of the leader's")
    .helpGroup(acting);
  reinit
    .description('Clones the leader to a replica. The old data directory is moved aside, not deleted.')
    .argument('<member>', 'a replica')
    .addOption(
      new Option('--wait <duration>', 'how long to wait until it streams again (the clone goes on after that)')
        .argParser(duration(0, 86_400_000))
        .default(3_600_000, formatDuration(3_600_000)),
    )
    .option('--no-wait', 'only ask for it')
    .option('-y, --yes', 'do not ask');
  finish(reinit, [
    ['understudy reinit n3', ''],
    ['understudy reinit n3 --yes', 'in a script'],
  ]);
  attach(reinit, async () => (await import('../commands/member.ts')).reinit);

  const restart = program.command('restart').summary("restart a replica's server, or all in turn").helpGroup(acting);
  restart
    .description(
      "Restarts a replica's server, and waits until it streams and acknowledges again. Refused when all writes would wait meanwhile.\n" +
        'With --rolling: all members, one after the other, the leader last through a switchover.',
    )
    .argument('[member]', 'a replica')
    .option('--rolling', 'all members in turn')
    .option('--pending', 'only those that need a restart for a parameter')
    .option('--force', 'also when all writes wait for this member meanwhile')
    .addOption(
      new Option('--wait <duration>', 'how long each may take to be back')
        .argParser(duration(0, 3_600_000))
        .default(60_000, formatDuration(60_000)),
    )
    .option('--no-wait', 'only ask for it');
  finish(restart, [
    ['understudy restart n3', ''],
    ['understudy restart --pending --rolling', 'the whole cluster, after a change of parameters'],
  ]);
  attach(restart, async () => (await import('../commands/member.ts')).restart);
}

function addRequest({ program, attach }: Tree): void {
  const request = program.command('request').summary('show or cancel a pending request').helpGroup(acting);
  request.description('The pending switchover, failover, reinit or restart. There is one at a time.');
  withExamples(request.helpOption('-h, --help', 'show this help'), [
    ['understudy request show', ''],
    ['understudy request cancel', 'whatever is pending'],
  ]);
  const show = request.command('show').description('Shows what is pending, and how the last request ended.');
  finish(show, [['understudy request show', '']]);
  attach(show, async () => (await import('../commands/request.ts')).show);
  const cancel = request
    .command('cancel')
    .description('Cancels a pending request. Steps that have begun (a server that is stopping) go on.')
    .argument('[id]', 'which one (default: whatever is pending)');
  finish(cancel, [['understudy request cancel', '']]);
  attach(cancel, async () => (await import('../commands/request.ts')).cancel);
}

function addPause({ program, attach }: Tree): void {
  const pause = program.command('pause').summary('stop all failovers, for work on the servers').helpGroup(acting);
  pause.description(
    'Until "resume" no leader is elected and no server is started, stopped or repaired. Writes and fencing go on.',
  );
  finish(pause, [
    ['understudy pause', ''],
    ['understudy pause && systemctl restart etcd && understudy resume', ''],
  ]);
  attach(pause, async () => (await import('../commands/pause.ts')).pause);

  const resume = program.command('resume').summary('allow failovers again').helpGroup(acting);
  resume.description('Ends a pause.');
  finish(resume, [['understudy resume', '']]);
  attach(resume, async () => (await import('../commands/pause.ts')).resume);

  const restore = program
    .command('restore-store')
    .summary('write the decisions back into a store that was emptied or restored')
    .helpGroup(acting);
  restore
    .description(
      'Without --from-members: the primary went on while the store was emptied or restored, and its agent writes back what it knows.\n' +
        'With it: no primary is open any more (power was lost). The newest decisions that the members have noted are written back. It says\n' +
        'what could be lost, and asks.',
    )
    .option('--from-members', 'no primary is open: take the newest decisions that any member knows')
    .option('--force', 'with --from-members: even if members do not answer, or something could be lost')
    .option('-y, --yes', 'do not ask (for scripts)');
  finish(restore, [
    ['understudy restore-store', 'the primary is open'],
    ['understudy restore-store --from-members', 'after a loss of power; shows what could be lost, then asks'],
  ]);
  attach(restore, async () => (await import('../commands/restore-store.ts')).restoreStore);
}
