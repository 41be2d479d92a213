import { monotonicMs, pauseUnlessInterrupted, pollUntil } from '@understudy/base';
import { signalPid } from '@understudy/base/processes';
import { type LocalNode, thaw } from '@understudy/local';
import { DrillError } from '../errors.ts';
import type { Fault, FaultContext, Injected } from './fault.ts';
import { target } from './processes.ts';
import { SilenceWatch } from './silence.ts';

/** Meanwhile clients write what nobody acknowledges: the tail that a recovery finds in the log and makes visible. */
const tailMs = 700;
const openWithinMs = 30_000;
/** How long clients try to write to the server that was opened again. */
const blockedMs = 1500;

/**
 * Nobody but the primary's own agent can go on: the servers of all replicas are frozen (their agents run, and cannot seal), so the
 * killed server is started again and leads again, with a tail that was never acknowledged. Nothing may be acknowledged before a
 * replica is back.
 */
export const restartPrimaryInPlace: Fault = {
  name: 'restart-primary-in-place',
  text: "SIGKILL to the primary's server while the replicas' are frozen: it is started again in place and leads again",
  needs: 'nothing',
  holdMs: 0,
  writes: 'stop',
  inject: async (context) => {
    const { cluster, leader, replicas, signal, say } = context;
    const frozen: number[] = [];
    for (const replica of replicas) frozen.push(...(await replica.freezeServer()));
    const silence = new SilenceWatch(cluster.state.durability);
    let isHealed = false;
    const heal = async (): Promise<void> => {
      if (isHealed) return;
      isHealed = true;
      silence.end();
      thaw(frozen);
    };
    try {
      await pauseUnlessInterrupted(tailMs, signal);
      const epoch = (await leader.api.status()).epoch ?? 0;
      const atMs = monotonicMs();
      signalPid(target(leader, 'database server', leader.server()).pid, 'SIGKILL');
      await leadsAgain(leader, epoch, context);
      say(`${leader.name} leads again; the replicas are still frozen`);
      await pauseUnlessInterrupted(blockedMs, signal);
      return { atMs, heal, silence: () => silence.span } satisfies Injected;
    } catch (error) {
      await heal();
      throw error;
    }
  },
};

async function leadsAgain(leader: LocalNode, epoch: number, { signal }: FaultContext): Promise<void> {
  let why = 'its agent does not answer';
  const open = await pollUntil(
    async () => {
      const view = await leader.api.status(500).catch(() => null);
      if (view === null) return null;
      why = `phase ${view.phase}, leader ${view.leader}, epoch ${view.epoch}`;
      return view.phase === 'open' && (view.epoch ?? 0) > epoch ? view : null;
    },
    { everyMs: 30, timeoutMs: openWithinMs, signal },
  );
  if (open?.leader === leader.name) return;
  const said = open === null ? `not within ${openWithinMs / 1000} s (${why})` : `but ${open.leader} leads now`;
  throw new DrillError('FAULT_FAILED', `${leader.name} was to lead again in place, ${said}.`);
}
