import { integer, type Tree, withCommon, withExamples, withTarget } from './define.ts';

/** `member list|add|forget`. */
export function addMemberCommands({ program, attach }: Tree): void {
  const member = program
    .command('member')
    .summary('list members, prepare a new one, forget one that is gone')
    .helpGroup('Acting:');
  member.description('The members of the cluster (docs/members.md: adding, removing and replacing a host).');
  withExamples(member.helpOption('-h, --help', 'show this help'), [
    ['understudy member list', ''],
    ['understudy member forget n4', ''],
  ]);

  const list = member.command('list').description('Shows every member that is registered, and its addresses.');
  withExamples(withCommon(withTarget(list)), [
    ['understudy member list', ''],
    ["understudy member list --json | jq -r '.[].id'", ''],
  ]);
  attach(list, async () => (await import('../commands/members.ts')).list);

  const add = member
    .command('add')
    .description(
      "Writes the configuration file of a further member from a present member's file, checks it, and says what is left to do.\nNothing is changed in the cluster: a member registers itself when its agent starts.",
    )
    .argument('<member>', 'its name')
    .requiredOption('--like <file>', 'node.yaml of a present member')
    .requiredOption('--agent <host:port>', "where its agent's API will listen")
    .requiredOption('--server <host:port>', 'where its database server will listen')
    .requiredOption('--out <file>', 'the file to write')
    .option('--server-id <number>', 'server_id, for MySQL and MariaDB', integer(1, 0xffff_ffff))
    .option('--zone <name>', 'its zone')
    .option('--offline', 'do not ask the cluster whether the name is free');
  withExamples(withCommon(add), [
    [
      'understudy member add n4 --like /etc/understudy/node.yaml --agent 10.0.0.4:8008 --server 10.0.0.4:5432 --out n4.yaml',
      '',
    ],
  ]);
  attach(add, async () => (await import('../commands/members.ts')).add);

  const forget = member
    .command('forget')
    .description(
      'Takes a member that is gone out of the cluster: its entry, its seal, the log that is kept for it. Refused while its agent is alive or it leads.',
    )
    .argument('<member>', 'a member whose agent has stopped')
    .option('-y, --yes', 'do not ask');
  withExamples(withCommon(withTarget(forget)), [
    ['understudy member forget n4', ''],
    ['understudy member forget n4 --yes --json', 'in a script'],
  ]);
  attach(forget, async () => (await import('../commands/members.ts')).forget);
}
