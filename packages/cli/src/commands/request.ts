import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { formatDuration } from '../output/text.ts';

/** `understudy request show` */
export async function show(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = targetOptionsSchema.parse(given);
  const { status } = await new ClusterClient(await findTarget(options, context.io.env)).look();
  const { request, lastOutcome } = status;
  if (context.format === 'json') {
    printJson(context, { pending: request, last: lastOutcome });
    return EXIT.done;
  }
  print(context, [request === null ? 'Nothing is pending.' : `Pending: ${request.text} (${request.id}).`]);
  if (lastOutcome === null) return EXIT.done;
  const ago = formatDuration(Math.max(0, status.wallMs - lastOutcome.wallMs));
  print(context, [`Last, ${ago} ago: ${lastOutcome.kind} ${lastOutcome.result}: ${lastOutcome.reason}`]);
  return EXIT.done;
}

/** `understudy request cancel [ID]` */
export async function cancel(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = targetOptionsSchema.parse(given);
  const client = new ClusterClient(await findTarget(options, context.io.env));
  const { request } = (await client.look()).status;
  const id = args[0] ?? request?.id;
  if (id === undefined) throw new CliError('REFUSED', 'Nothing is pending.', { next: 'See: understudy request show' });
  await client.post('DELETE', `/understudy/requests/${encodeURIComponent(id)}`);
  if (context.format === 'json') printJson(context, { cancelled: id });
  else print(context, [`Taken back: ${request?.id === id ? request.text : id}.`]);
  return EXIT.done;
}
