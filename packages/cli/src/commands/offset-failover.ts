import { byHand, failoverRefusal, OffsetServer, readFacts, stepsToGtid } from '@understudy/pair';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import { loginOf, offsetOptionsSchema } from './offset-servers.ts';

/** `understudy offset failover`: says why not. The primary may be dead, so only the replica is asked. */
export async function failover(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { replica } = offsetOptionsSchema.parse(given);
  const server = await OffsetServer.connect('replica', loginOf(context, replica));
  try {
    const reason = failoverRefusal(await readFacts(server));
    const [steps, hand] = [stepsToGtid(server.flavour), byHand(server.flavour)];
    if (context.format === 'json') printJson(context, { refused: reason, stepsToGtid: steps, byHand: hand });
    else {
      const numbered = (list: readonly string[]): string[] => list.map((step, index) => `  ${index + 1}. ${step}`);
      const { bold } = context.style;
      print(context, [
        bold('To GTIDs, while both servers live'),
        ...numbered(steps),
        '',
        bold('If the primary is dead already, by hand'),
        ...numbered(hand),
      ]);
    }
    throw new CliError('REFUSED', reason, {
      next: 'Go to GTIDs while both servers live; then a cluster can fail over.',
    });
  } finally {
    await server.close();
  }
}
