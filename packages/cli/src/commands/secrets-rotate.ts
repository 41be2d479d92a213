import { monotonicMs, pause } from '@understudy/base';
import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { rotateToken } from './secrets-rotate-token.ts';

const optionsSchema = targetOptionsSchema.extend({ wait: z.number() });

const lookEveryMs = 200;

interface Member {
  readonly id: string;
  readonly url: string | null;
}

/** How it went with one member. `pending`: its agent goes on by itself. */
interface Rotated {
  readonly member: string;
  readonly result: 'done' | 'pending' | 'unreachable';
  readonly detail: string | null;
}

/** `understudy secrets rotate WHAT` */
export async function rotate(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const client = new ClusterClient(await findTarget(options, context.io.env), context.interruption());
  const [what] = args;
  return what === 'replication' ? rotateLogins(context, client, options.wait) : rotateToken(context, client);
}

async function rotateLogins(context: Context, client: ClusterClient, waitMs: number): Promise<ExitCode> {
  const members = await inOrder(client);
  const results: Rotated[] = [];
  // One after the other: a stream that changes its login begins anew, and commits may wait for it.
  for (const member of members) {
    const rotated = await rotateOne(client, member, waitMs, context.interruption());
    results.push(rotated);
    note(
      context,
      `${rotated.member}: ${sentences[rotated.result]}${rotated.detail === null ? '' : ` (${rotated.detail})`}`,
    );
  }
  if (context.format === 'json') printJson(context, { secret: 'replication', members: results });
  const left = results.filter(({ result }) => result !== 'done');
  if (left.length === 0) return EXIT.done;
  const names = left.map(({ member }) => member).join(', ');
  const code = left.some(({ result }) => result === 'unreachable') ? 'UNREACHABLE' : 'STILL_PENDING';
  throw new CliError(code, `Not rotated to the end: ${names}.`, {
    next: 'Run the same command again when they answer and replicate.',
    retry: 'safe',
  });
}

const sentences: Readonly<Record<Rotated['result'], string>> = {
  done: 'has a new login; the leader drops the one before',
  pending: 'still changes its login; both are accepted meanwhile, and its agent goes on by itself',
  unreachable: 'its agent does not answer',
};

/** The leader last. */
async function inOrder(client: ClusterClient): Promise<readonly Member[]> {
  const { status } = await client.look();
  const rank = (id: string): number => (id === status.leader ? 1 : 0);
  return status.members
    .map(({ id, apiUrl }) => ({ id, url: apiUrl }))
    .toSorted((a, b) => rank(a.id) - rank(b.id) || a.id.localeCompare(b.id));
}

async function rotateOne(client: ClusterClient, member: Member, waitMs: number, signal: AbortSignal): Promise<Rotated> {
  const { id, url } = member;
  if (url === null) return { member: id, result: 'unreachable', detail: 'it is not registered' };
  const begun = await client.rotate(url, 'replication').catch((error: unknown) => unreachable(error));
  if (begun === null) return { member: id, result: 'unreachable', detail: null };
  const endMs = monotonicMs() + waitMs;
  for (;;) {
    const view = await client.secrets(url).catch((error: unknown) => unreachable(error));
    if (view?.replication?.state === 'settled') return { member: id, result: 'done', detail: view.replication.problem };
    if (monotonicMs() >= endMs || signal.aborted)
      return { member: id, result: 'pending', detail: view?.replication?.problem ?? null };
    await pause(lookEveryMs, signal);
  }
}

/** Only that somebody does not answer is one member's affair. */
function unreachable(error: unknown): null {
  if (error instanceof CliError && error.code === 'UNREACHABLE') return null;
  throw error;
}
