import { Argument, Option } from 'commander';
import { formatDuration } from '../output/text.ts';
import { duration, type Tree, withCommon, withExamples, withTarget } from './define.ts';

/** `secrets rotate`. */
export function addSecretsCommands({ program, attach }: Tree): void {
  const secrets = program
    .command('secrets')
    .summary('change passwords and tokens without a pause')
    .helpGroup('Acting:');
  secrets.description('Each member accepts the new secret beside the old one, then uses it, then drops the old one.');
  withExamples(secrets.helpOption('-h, --help', 'show this help'), [['understudy secrets rotate replication', '']]);

  const rotate = secrets
    .command('rotate')
    .description(
      'Changes a secret on all members, one after the other, the leader last. No login fails. A write waits at most until a stream\n' +
        'has reconnected. If the command is killed, the agents continue; run it again to see the result.',
    );
  rotate
    .addArgument(
      new Argument(
        '<what>',
        'replication: the login that each member replicates with; token: the token that this command sends',
      ).choices(['replication', 'token']),
    )
    .addOption(
      new Option('--wait <duration>', 'how long each member may take')
        .argParser(duration(0, 3_600_000))
        .default(60_000, formatDuration(60_000)),
    );
  withExamples(withCommon(withTarget(rotate)), [
    ['understudy secrets rotate replication', ''],
    ['understudy secrets rotate token --token-file ops.token', 'in the agents’ files and in this one'],
    ['understudy secrets rotate replication --json', 'in a script: exit code 0 when every member has changed'],
  ]);
  attach(rotate, async () => (await import('../commands/secrets-rotate.ts')).rotate);
}
