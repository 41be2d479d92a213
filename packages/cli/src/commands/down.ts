import { describeCluster, stopCluster } from '@understudy/local';
import { describePair, type PairDescription, stopPair } from '@understudy/pair';
import { z } from 'zod';
import { localChoice } from '../client/target.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

const optionsSchema = z.object({ name: z.string().optional(), dataDir: z.string().optional(), timeout: z.number() });

/** `understudy down`: ends a cluster that another process runs, or what is left of one. */
export async function down(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { name, dataDir, timeout } = optionsSchema.parse(given);
  const choice = await localChoice({ cluster: name, dataDir });
  const pair = await describePair(choice);
  if (pair !== null) return downPair(context, pair, timeout);
  const found = await describeCluster(choice);
  if (found === null) {
    const where = choice.folder ?? `.understudy/${choice.name ?? 'default'}`;
    throw new CliError('NO_CLUSTER', `There is no cluster in ${where}.`, {
      next: 'Name it with --name or --data-dir.',
    });
  }
  if (found.runner !== null) note(context, `Stopping cluster ${found.state.name} …`);
  const result = await stopCluster(choice, timeout);
  if (context.format === 'json') printJson(context, { cluster: found.state.name, folder: found.folder, result });
  else {
    const text = result === 'stopped' ? 'is stopped' : 'was not running';
    print(context, [`Cluster ${found.state.name} ${text}; its data is kept in ${found.folder}.`]);
  }
  return EXIT.done;
}

async function downPair(
  context: Context,
  { file, folder, runner }: PairDescription,
  timeoutMs: number,
): Promise<ExitCode> {
  if (runner !== null) note(context, `Stopping pair ${file.name} …`);
  const result = await stopPair({ folder }, timeoutMs);
  if (context.format === 'json') printJson(context, { cluster: file.name, folder, result });
  else {
    const text = result === 'stopped' ? 'is stopped' : 'was not running';
    print(context, [`Pair ${file.name} ${text}; its data is kept in ${folder}.`]);
  }
  return EXIT.done;
}
