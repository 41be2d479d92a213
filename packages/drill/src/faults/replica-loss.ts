import { monotonicMs, pauseUnlessInterrupted } from '@understudy/base';
import { DrillError } from '../errors.ts';
import type { Fault } from './fault.ts';
import { SilenceWatch } from './silence.ts';

/** How long clients try to write to a primary that has no acknowledger left. */
const blockedMs = 4000;

/**
 * The acknowledgers go one after the other. Writes go on as long as one is left; then they wait, and nothing falls back to
 * asynchronous; and they go on as soon as the first one is back.
 */
export const semiSyncReplicaLoss: Fault = {
  name: 'semi-sync-replica-loss',
  text: "SIGKILL to the replicas' hosts one after the other; writes must wait until one of them is back",
  needs: 'nothing',
  holdMs: 0,
  writes: 'go-on',
  inject: async ({ cluster, replicas, signal, say, writesFlow }) => {
    const [first, ...others] = replicas;
    if (first === undefined) throw new DrillError('FAULT_FAILED', 'There is no replica to lose.');
    const must = async (sinceMs: number, when: string): Promise<void> => {
      if ((await writesFlow(sinceMs)) === 'flowing') return;
      throw new DrillError('FAULT_FAILED', `Writes did not go on ${when}.`);
    };
    for (const replica of others) {
      const lostMs = monotonicMs();
      await replica.killHost();
      say(`${replica.name} is lost`);
      await must(lostMs, `after ${replica.name} was lost, although another acknowledger was there`);
    }
    const atMs = monotonicMs();
    await first.killHost();
    const silence = new SilenceWatch(cluster.state.durability);
    say(`${first.name}, the last acknowledger, is lost`);
    await pauseUnlessInterrupted(blockedMs, signal);
    silence.end();
    const backMs = monotonicMs();
    first.start();
    await must(backMs, `after ${first.name} had come back`);
    const heal = async (): Promise<void> => {
      for (const replica of others) replica.start();
    };
    return { atMs, heal, silence: () => silence.span };
  },
};
