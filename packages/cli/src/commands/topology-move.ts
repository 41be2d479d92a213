import type { MemberView, StatusView } from '@understudy/agent/client';
import { monotonicMs, pause, problemOf } from '@understudy/base';
import { memberId, upstreamsAfter } from '@understudy/core';
import { z } from 'zod';
import { ClusterClient, type SeenConfig } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { formatDuration } from '../output/text.ts';
import { waitText } from '../render/member.ts';
import { hopText } from '../render/topology.ts';
import { type Destination, destinationOf, refusalOfMove, upstreamOf, wishesOf } from '../topology/objections.ts';
import { receivesFrom } from '../topology/tree.ts';

const optionsSchema = targetOptionsSchema.extend({
  under: z.string(),
  dryRun: z.boolean().optional(),
  timeout: z.number(),
});

/** What is read of the configuration; the rest of it is passed by. */
const settingsSchema = z.object({
  upstreams: z.record(z.string(), z.string()),
  requiredAcks: z.number(),
  durability: z.enum(['sync', 'async']),
  ackerLagBytes: z.number(),
});

const lookEveryMs = 200;
/** How long an objection is looked at again that may pass by itself. */
const passesWithinMs = 5000;
/** A member has arrived when it shows what its upstream showed so long ago. */
const arrivedWithinMs = 1000;

interface Move {
  readonly node: string;
  readonly to: Destination;
  readonly seen: SeenConfig;
  /** What the node was wanted under before; null: the leader. */
  readonly before: string | null;
}

/** `understudy topology move NODE --under UPSTREAM` */
export async function move(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const [node = ''] = args;
  const interrupted = context.interruption();
  // What undoes a move must get through after an interruption too.
  const client = new ClusterClient(await findTarget(options, context.io.env));
  const { status, seen, settings, to } = await checked(client, node, options.under, interrupted);
  const before = settings.upstreams[node] ?? null;
  const isWanted =
    JSON.stringify(upstreamsAfter(wishesOf(settings), memberId(node), upstreamOf(to))) ===
    JSON.stringify(settings.upstreams);
  if (isWanted && arrival(status, node, to) !== null) return report(context, 'unchanged', node, status, 0);
  if (options.dryRun === true) return report(context, 'would move', node, status, 0, to);
  const moving: Move = { node, to, seen, before };
  await client.patchConfig({ upstreams: { [node]: to.kind === 'leader' ? null : to.id } }, seen.version);
  const startedMs = monotonicMs();
  const end = await wait(context, client, moving, options.timeout, interrupted);
  if (end.kind === 'there') return report(context, 'moved', node, end.status, monotonicMs() - startedMs);
  const undone = await undo(client, moving);
  if (end.kind === 'interrupted') throw new CliError('INTERRUPTED', `Interrupted. ${undone}`);
  throw new CliError(
    'REQUEST_FAILED',
    `${node} was not under ${nameOf(to)} within ${formatDuration(options.timeout)}: ${end.why} ${undone}`,
    { next: `See: understudy explain ${node}` },
  );
}

/** Looks whether the move is possible; what may pass by itself is given a moment. @throws CliError `REFUSED` */
async function checked(client: ClusterClient, node: string, under: string, interrupted: AbortSignal) {
  const endMs = monotonicMs() + passesWithinMs;
  for (;;) {
    const { status } = await client.look();
    const seen = await client.config();
    const settings = settingsSchema.parse(seen.config);
    const to = destinationOf(status, under);
    const objection = refusalOfMove(status, settings, node, to);
    if (objection === null) return { status, seen, settings, to };
    if (objection.passes !== 'soon' || monotonicMs() > endMs || interrupted.aborted) {
      throw new CliError('REFUSED', `${objection.why} Nothing was changed.`, { next: objection.next });
    }
    await pause(lookEveryMs, interrupted);
  }
}

type End =
  | { readonly kind: 'there'; readonly status: StatusView }
  | { readonly kind: 'late'; readonly why: string }
  | { readonly kind: 'interrupted' };

async function wait(
  context: Context,
  client: ClusterClient,
  { node, to }: Move,
  timeoutMs: number,
  interrupted: AbortSignal,
): Promise<End> {
  const endMs = monotonicMs() + timeoutMs;
  let told = '';
  for (;;) {
    if (interrupted.aborted) return { kind: 'interrupted' };
    const status = await client.lookAgain().then(
      (sighting) => sighting.status,
      () => null,
    );
    if (status !== null && arrival(status, node, to) !== null) return { kind: 'there', status };
    const member = status?.members.find(({ id }) => id === node);
    const now = member === undefined ? 'No agent answers.' : waitText(member);
    if (now !== told) note(context, `${node}: ${now}`);
    told = now;
    if (monotonicMs() > endMs) return { kind: 'late', why: told };
    await pause(lookEveryMs, interrupted);
  }
}

/** The member, once it receives from where it is to be and has caught up with that; null before. */
function arrival(status: StatusView, node: string, to: Destination): MemberView | null {
  const member = status.members.find(({ id }) => id === node);
  const upstream = to.kind === 'leader' ? status.leader : to.id;
  if (member === undefined || receivesFrom(member) !== upstream) return null;
  const { hopLagBytes, hopLagMs } = member;
  return hopLagBytes === 0 || (hopLagMs !== null && hopLagMs < arrivedWithinMs) ? member : null;
}

/** Puts the old wish back, unless somebody else has changed it meanwhile. Returns what was done, in a sentence. */
async function undo(client: ClusterClient, { node, to, before }: Move): Promise<string> {
  const failed = `The configuration still wants it there; take that back with: understudy topology move ${node} --under ${before ?? 'leader'}.`;
  try {
    const now = await client.config();
    const wanted = settingsSchema.parse(now.config).upstreams[node] ?? null;
    if (wanted !== (to.kind === 'leader' ? null : to.id))
      return 'Somebody else has moved it meanwhile, so nothing was restored.';
    await client.patchConfig({ upstreams: { [node]: before } }, now.version);
    return `Its configured upstream is ${before ?? 'the leader'} again, as before.`;
  } catch (error) {
    return `${failed} (${problemOf(error)})`;
  }
}

const nameOf = (to: Destination): string => (to.kind === 'leader' ? 'the leader' : to.id);

function report(
  context: Context,
  result: 'moved' | 'unchanged' | 'would move',
  node: string,
  status: StatusView,
  tookMs: number,
  to?: Destination,
): ExitCode {
  const member = status.members.find(({ id }) => id === node);
  const upstream = member?.upstream ?? null;
  if (context.format === 'json') {
    const wanted = to === undefined ? {} : { to: to.kind === 'leader' ? status.leader : to.id };
    const lag = { hopLagBytes: member?.hopLagBytes ?? null, hopLagMs: member?.hopLagMs ?? null };
    printJson(context, { result, member: node, upstream, ...wanted, tookMs: Math.round(tookMs), ...lag });
    return EXIT.done;
  }
  const { green } = context.style;
  const behind = member === undefined ? '' : ` (${hopText(member)} behind it)`;
  const text = {
    moved: `${green('done')}  ${node} receives from ${upstream}${behind}, after ${formatDuration(tookMs)}.`,
    unchanged: `${node} receives from ${upstream} already.`,
    'would move': `${node} can be moved from ${upstream ?? 'nobody'} to ${to === undefined ? '?' : nameOf(to)}. Nothing was changed: this was a rehearsal.`,
  }[result];
  print(context, [text]);
  return EXIT.done;
}
