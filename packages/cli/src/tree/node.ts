import { integer, type Tree, withCommon, withExamples, withTarget } from './define.ts';

/** `agent`, `router`, `replay`: what runs or belongs beside a server. */
export function addNodeCommands({ program, attach }: Tree): void {
  const agent = program.command('agent').summary('run the agent of one database server').helpGroup('On each host:');
  agent
    .description(
      'Runs in the foreground; a service manager keeps it running (docs/systemd/understudy-agent.service).\n' +
        'SIGTERM hands over, stops the server cleanly and ends the agent; SIGUSR2 ends the agent and leaves the server running.',
    )
    .requiredOption('-c, --config <file>', "the node's configuration (docs/config.md)")
    .option('--check', 'say everything that is wrong with the file and the files it names; start nothing');
  withExamples(withCommon(agent), [
    ['understudy agent --config /etc/understudy/n1.yaml --check', ''],
    ['understudy agent --config /etc/understudy/n1.yaml', ''],
  ]);
  attach(agent, async () => (await import('../commands/agent.ts')).agent);

  addRouter({ program, attach });

  const replay = program
    .command('replay')
    .summary("run an agent's recorded decisions again")
    .helpGroup('On each host:');
  replay
    .description(
      "Reads the ring of decisions in an agent's run folder and decides each again with this version: what was seen, what was done, why.\n" +
        'Exits with 1 when this version would have decided otherwise.',
    )
    .argument('<file>', 'the ring (decisions.ring in the run folder), or the run folder')
    .option('-n, --last <number>', 'only the last ones', integer(1, 1_000_000));
  withExamples(withCommon(replay), [
    ['understudy replay /run/understudy/n1', ''],
    ['understudy replay .understudy/default/n2/run --last 20', ''],
  ]);
  attach(replay, async () => (await import('../commands/replay.ts')).replay);
}

function addRouter({ program, attach }: Tree): void {
  const router = program
    .command('router')
    .summary('one address in front of a PostgreSQL cluster, which follows the primary')
    .helpGroup('On each host:');
  router
    .description(
      'Runs in the foreground until Ctrl-C. Applications connect to it and stay connected: connections to the servers are pooled,\n' +
        'a failover is a wait instead of an error, and transactions in flight get an error that says what happened (docs/router.md).\n' +
        'Without a file it stands in front of the cluster that the options below name. With --json each event is a line of JSON.',
    )
    .option('-f, --file <file>', "the router's configuration; it names the cluster too")
    .option('-l, --listen <address>', 'address for reads and writes', '127.0.0.1:6432')
    .option('--listen-read-only <address>', 'address that leads to replicas')
    .option(
      '-s, --servers <list>',
      'instead of agents: servers as n1=host:port,n2=host:port (weaker: no proof of who leads)',
    )
    .option('-u, --auth-user <name>', 'who reads the verifiers of clients from the servers (default: postgres)')
    .option('-p, --password-file <file>', 'file with the password of that user')
    .option('-w, --workers <number>', 'worker processes (default: one for each core, at most 8)', integer(1, 64))
    .option(
      '--pooling <mode>',
      'session: a client keeps its server connection; transaction: shared, but less protected (docs/router.md) (default: session)',
    )
    .option('--pool-size <number>', 'server connections of one user and database on one node', integer(1, 10_000));
  withExamples(withCommon(withTarget(router)), [
    ['understudy router', 'in front of the cluster that "understudy up" keeps here'],
    ['understudy router --file /etc/understudy/router.yaml', ''],
    ['psql -h 127.0.0.1 -p 6432 -U postgres', 'connects through it'],
    ["psql -h 127.0.0.1 -p 6432 -U postgres pgbouncer -c 'SHOW POOLS'", 'what it does'],
  ]);
  attach(router, async () => (await import('../commands/router.ts')).router);
}
