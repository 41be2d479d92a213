import { type OffsetStatus, offsetStatus, readFacts } from '@understudy/pair';
import { type Context, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { formatBytes, hanging } from '../output/text.ts';
import { offsetOptionsSchema, withServers } from './offset-servers.ts';

/** `understudy offset status` */
export async function status(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const view = await withServers(context, offsetOptionsSchema.parse(given), async ({ primary, replica }) => {
    // The replica first: it is then not ahead of what is read of the primary.
    const second = await readFacts(replica);
    return offsetStatus(await readFacts(primary), second);
  });
  if (context.format === 'json') printJson(context, view);
  else print(context, render(view, context));
  return EXIT.done;
}

function render({ primary, replica, problems }: OffsetStatus, { style, io }: Context): string[] {
  const bytes = (count: number | null): string => (count === null ? 'unknown' : formatBytes(count));
  const behind = replica.behindS === null ? '' : `, ${replica.behindS} s by the server's own estimate`;
  return [
    `${style.bold('Primary')}  ${primary.address}  ${primary.version}  writes ${primary.writes}  log ends at ${primary.end ?? '–'}`,
    `${style.bold('Replica')}  ${replica.address}  ${replica.version}  writes ${replica.writes}  of ${replica.source ?? 'nobody'}`,
    `         receiver ${replica.receiver ?? '–'} at ${replica.received ?? '–'}, applier ${replica.applier ?? '–'} at ${replica.executed ?? '–'}`,
    `         behind: ${bytes(replica.unexecutedBytes)} of log to execute, ${bytes(replica.unreceivedBytes)} of them to receive${behind}`,
    ...problems.flatMap((problem) => hanging(style.red('✗ '), problem, io.out.columns())),
    style.dim('Without GTIDs nothing fails over by itself. See: understudy offset failover --help'),
  ];
}
