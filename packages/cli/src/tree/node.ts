import { integer, type Tree, withCommon, withExamples } from './define.ts';

/** `agent`, `replay`: what runs or belongs beside a server. */
export function addNodeCommands({ program, attach }: Tree): void {
  const agent = program.command('agent').summary('run the agent of one database server').helpGroup('On each host:');
  agent
    .description(
      'Runs in the foreground; a service manager keeps it running (docs/systemd/understudy-agent.service).\n' +
        'SIGTERM stops the server in order and then the agent; SIGUSR2 ends the agent and leaves the server running.',
    )
    .requiredOption('-c, --config <file>', "the node's configuration (docs/config.md)")
    .option('--check', 'say everything that is wrong with the file and the files it names; start nothing');
  withExamples(withCommon(agent), [
    ['understudy agent --config /etc/understudy/n1.yaml --check', ''],
    ['understudy agent --config /etc/understudy/n1.yaml', ''],
  ]);
  attach(agent, async () => (await import('../commands/agent.ts')).agent);

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
