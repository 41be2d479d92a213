import { type Tree, withCommon, withExamples, withTarget } from './define.ts';

/** `aside list|remove`. */
export function addAsideCommands({ program, attach }: Tree): void {
  const aside = program
    .command('aside')
    .summary('list or remove the kept copies of replaced data')
    .helpGroup('Acting:');
  aside.description(
    'Data that a clone or a rewind replaced is kept beside the data directory (docs/rejoin.md). What may be the only copy of something\nstays until you remove it here.',
  );
  withExamples(aside.helpOption('-h, --help', 'show this help'), [
    ['understudy aside list', ''],
    ['understudy aside remove n1 data.aside-2027-01-31-030000000-0001', ''],
  ]);

  const list = aside.command('list').description('Shows what is kept, how large it is, since when, and why.');
  list.argument('[member]', 'only this one');
  withExamples(withCommon(withTarget(list)), [
    ['understudy aside list', ''],
    ['understudy aside list n1 --json', ''],
  ]);
  attach(list, async () => (await import('../commands/aside.ts')).list);

  const remove = aside.command('remove').description('Removes one of them permanently. Asks you to type its name.');
  remove.argument('<member>', 'whose').argument('<name>', 'as "aside list" shows it').option('-y, --yes', 'do not ask');
  withExamples(withCommon(withTarget(remove)), [
    ['understudy aside remove n1 data.aside-2027-01-31-030000000-0001', ''],
    ['understudy aside remove n1 data.aside-2027-01-31-030000000-0001 --yes', 'in a script'],
  ]);
  attach(remove, async () => (await import('../commands/aside.ts')).remove);
}
