import { describeCluster, destroyCluster } from '@understudy/local';
import { describePair, destroyPair } from '@understudy/pair';
import { z } from 'zod';
import { localChoice } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { confirmByTyping } from '../questions.ts';

const optionsSchema = z.object({
  name: z.string().optional(),
  dataDir: z.string().optional(),
  yes: z.boolean().optional(),
});

/** `understudy destroy`: ends a cluster of this machine and deletes it. */
export async function destroy(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { name, dataDir, yes } = optionsSchema.parse(given);
  const choice = await localChoice({ cluster: name, dataDir });
  const pair = await describePair(choice);
  const found = pair === null ? await describeCluster(choice) : { folder: pair.folder, state: pair.file };
  if (found === null) {
    const where = choice.folder ?? `.understudy/${choice.name ?? 'default'}`;
    throw new CliError('NO_CLUSTER', `There is no cluster in ${where}; nothing was deleted.`, {
      next: 'Name it with --name or --data-dir.',
    });
  }
  if (yes !== true) {
    const text = `This deletes cluster ${found.state.name} with all data in ${found.folder}.`;
    await confirmByTyping(context, text, found.state.name, '--yes');
  }
  const result = await (pair === null ? destroyCluster(choice) : destroyPair(choice));
  if (context.format === 'json') printJson(context, { cluster: found.state.name, folder: found.folder, result });
  else print(context, [`Cluster ${found.state.name} is gone, with ${found.folder}.`]);
  return EXIT.done;
}
