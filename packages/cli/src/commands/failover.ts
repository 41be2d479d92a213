import type { MemberView, StatusView } from '@understudy/agent/client';
import { z } from 'zod';
import { carryOut } from '../client/carry-out.ts';
import { ClusterClient } from '../client/cluster.ts';
import { reportOutcome } from '../client/outcome.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note } from '../context.ts';
import { CliError } from '../errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import { confirmByTyping } from '../questions.ts';
import { lossOf } from '../render/loss.ts';

const optionsSchema = targetOptionsSchema.extend({
  to: z.string(),
  force: z.boolean().optional(),
  yesLoseData: z.boolean().optional(),
  timeout: z.number().optional(),
  wait: z.number(),
});

/** `understudy failover`: with proof that nothing is lost, or by an operator's word who was told what would be. */
export async function failover(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const { to, force, yesLoseData, timeout, wait } = options;
  if (yesLoseData === true && force !== true) {
    throw new CliError('USAGE', '--yes-lose-data is an answer to --force.', {
      next: 'Add --force, or leave both out.',
    });
  }
  const target = await findTarget(options, context.io.env);
  const signal = context.interruption();
  const client = new ClusterClient(target, signal);
  if (force === true) await warn(context, client, to, yesLoseData === true ? 'answered' : 'ask');
  note(context, `Failing over to ${to}${force === true ? ', without proof' : ''} …`);
  const proof = force === true ? 'override' : 'quorum';
  const body = { to, proof, ...(timeout === undefined ? {} : { timeoutMs: timeout }) };
  return reportOutcome(context, await carryOut({ target, path: '/failover', body, waitMs: wait, signal }), wait);
}

async function warn(context: Context, client: ClusterClient, to: string, how: 'ask' | 'answered'): Promise<void> {
  const { status } = await client.look();
  const target = memberNamed(status, to);
  if (status.leader === to && status.phase === 'open') {
    throw new CliError('REFUSED', `${to} leads already.`, { next: 'There is nothing to do.' });
  }
  const loss = lossOf(status, target);
  if (how === 'ask') {
    await confirmByTyping(context, loss.lines.join('\n'), to, '--yes-lose-data');
    return;
  }
  if (context.format === 'json') context.io.err.write(`${JSON.stringify({ loss })}\n`);
  else for (const line of loss.lines) note(context, line);
}

function memberNamed(status: StatusView, name: string): MemberView {
  const found = status.members.find(({ id }) => id === name);
  if (found !== undefined) return found;
  const known = status.members.map(({ id }) => id).join(', ');
  throw new CliError('REFUSED', `"${name}" is not a member of cluster ${status.cluster}.`, {
    next: `Its members: ${known}.`,
  });
}
