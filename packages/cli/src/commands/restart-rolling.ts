import type { MemberView, StatusView } from '@understudy/agent/client';
import { monotonicMs, pause } from '@understudy/base';
import { carryOut } from '../client/carry-out.ts';
import { ClusterClient } from '../client/cluster.ts';
import { reportOutcome } from '../client/outcome.ts';
import type { Target } from '../client/target.ts';
import { type Context, note, print } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { healthOf } from '../render/member.ts';
import { restartOne } from './restart-one.ts';

const lookEveryMs = 300;
const switchoverMs = 60_000;

interface Options {
  readonly wait: number;
  readonly force?: boolean | undefined;
  readonly pending?: boolean | undefined;
  readonly rolling?: boolean | undefined;
}

/**
 * Restarts several members one after the other, each only when the one before streams and acknowledges again. The leader comes last: it
 * hands over, and its server starts anew as a replica's. Ends at the first that does not come back.
 */
export async function restartRolling(context: Context, target: Target, options: Options): Promise<ExitCode> {
  if (options.wait === 0) {
    throw new CliError('USAGE', 'Members that are restarted one after the other are waited for.', {
      next: 'Leave out --no-wait.',
    });
  }
  const client = new ClusterClient(target, context.interruption());
  const { status } = await client.look();
  const isMeant = (member: MemberView): boolean => options.pending !== true || member.pendingRestart.length > 0;
  const meant = status.members.filter(isMeant);
  const replicas = meant.filter(({ id }) => id !== status.leader);
  const leader = meant.find(({ id }) => id === status.leader);
  if (meant.length === 0) {
    print(context, ['No member needs a restart.']);
    return EXIT.done;
  }
  for (const { id } of replicas) await restartOne(context, target, id, options);
  if (leader === undefined) return EXIT.done;
  if (options.rolling !== true) {
    const next = 'understudy restart --pending --rolling restarts it through a switchover.';
    throw new CliError('REFUSED', `${leader.id} leads, and was not restarted.`, { next });
  }
  await handOver(context, target, leader.id);
  const back = await awaitReplica(context, client, leader.id, options.wait);
  // Its server was stopped for the handover and has started anew.
  if (back.pendingRestart.length > 0) await restartOne(context, target, leader.id, options);
  else note(context, `${leader.id} was restarted by the switchover.`);
  return EXIT.done;
}

async function handOver(context: Context, target: Target, from: string): Promise<void> {
  note(context, `Switching over from ${from} …`);
  const signal = context.interruption();
  const errand = { target, path: '/switchover', body: { from }, waitMs: switchoverMs, signal };
  reportOutcome(context, await carryOut(errand), switchoverMs);
}

async function awaitReplica(context: Context, client: ClusterClient, id: string, waitMs: number): Promise<MemberView> {
  const signal = context.interruption();
  const endMs = monotonicMs() + waitMs;
  while (monotonicMs() < endMs) {
    const status = await client.lookAgain().then(
      (sighting): StatusView | null => sighting.status,
      () => null,
    );
    const member = status?.members.find((each) => each.id === id);
    if (member !== undefined && member.role !== 'leader' && healthOf(member) === 'good') return member;
    if (signal.aborted) throw new CliError('INTERRUPTED', 'Interrupted.', { next: 'See: understudy status' });
    await pause(lookEveryMs, signal);
  }
  throw new CliError('REQUEST_FAILED', `${id} does not stream ${waitMs / 1000} s after the switchover.`, {
    next: `See: understudy explain ${id}`,
  });
}
