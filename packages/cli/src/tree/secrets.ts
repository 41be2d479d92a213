import { Argument, Option } from 'commander';
import { formatDuration } from '../output/text.ts';
import { duration, type Tree, withCommon, withExamples, withTarget } from './define.ts';

/** `secrets rotate`. */
export function addSecretsCommands({ program, attach }: Tree): void {
  const secrets = program
    .command('secrets')
    .summary('change passwords and tokens without a pause')
    .helpGroup('Acting:');
  secrets.description(
    'New secrets are accepted beside the old ones, then used by everybody, then the old ones are dropped.',
  );
  withExamples(secrets.helpOption('-h, --help', 'show this help'), [['understudy secrets rotate replication', '']]);

  const rotate = secrets
    .command('rotate')
    .description(
      'Changes a secret on all members, one after the other, the leader last. No login fails, and no write waits for longer than it takes a\n' +
        'stream to begin anew. Killed in the middle it goes on by itself; run it again to see the end.',
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
