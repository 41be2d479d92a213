import { type Tree, withCommon, withExamples, withTarget } from './define.ts';

/** `config show|set|edit|check`. */
export function addConfigCommands({ program, attach }: Tree): void {
  const config = program
    .command('config')
    .summary('show, check or change the configuration of the cluster')
    .helpGroup('Acting:');
  config.description('The configuration that all nodes share, kept in the store (docs/config.md lists every setting).');
  withExamples(config.helpOption('-h, --help', 'show this help'), [
    ['understudy config show', ''],
    ['understudy config set requiredAcks=2', ''],
  ]);

  const show = config.command('show').description('Prints it as YAML.');
  withExamples(withCommon(withTarget(show)), [
    ['understudy config show', ''],
    ['understudy config show --json | jq .durability', ''],
  ]);
  attach(show, async () => (await import('../commands/config-show.ts')).show);

  const set = config
    .command('set')
    .description('Changes settings. Values are YAML; "default" restores a default. Shows the difference.')
    .argument(
      '<name=value...>',
      'settings; a server parameter is parameters.NAME, a configured upstream upstreams.MEMBER',
    )
    .option('-n, --dry-run', 'show the difference, change nothing');
  withExamples(withCommon(withTarget(set)), [
    ['understudy config set requiredAcks=2 whenShort=degrade', ''],
    ['understudy config set parameters.work_mem=64MB', ''],
    ['understudy config set suspectAfterMs=default', ''],
  ]);
  attach(set, async () => (await import('../commands/config-set.ts')).set);

  const edit = config
    .command('edit')
    .description(
      'Opens it in $VISUAL or $EDITOR, checks it, shows the difference and asks. Nothing is written when somebody else has changed it meanwhile.',
    )
    .option('-y, --yes', 'do not ask after the editor has ended');
  withExamples(withCommon(withTarget(edit)), [
    ['understudy config edit', ''],
    ['EDITOR=nano understudy config edit', ''],
  ]);
  attach(edit, async () => (await import('../commands/config-edit.ts')).edit);

  const check = config
    .command('check')
    .description("Checks a file with the cluster's configuration, or a node's file, without asking any agent.")
    .argument('<file>', 'YAML or JSON');
  withExamples(withCommon(check), [
    ['understudy config check cluster.yaml', ''],
    ['understudy config check /etc/understudy/n1.yaml', "a node's file is recognised by its keys"],
  ]);
  attach(check, async () => (await import('../commands/config-check.ts')).check);
}
