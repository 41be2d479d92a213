import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { monotonicMs, pauseUnlessInterrupted } from '@understudy/base';
import { type LocalCluster, statusOf } from '@understudy/local';
import { databaseFor } from '../database/index.ts';
import { prepareDatabases } from '../run/setup.ts';
import { networkTargets } from '../run/targets.ts';
import { Workload } from '../workload/workload.ts';
import { type BenchContext, onCluster } from './bench.ts';

/** How often the leader changed although nothing was wrong. */
export interface FalseFailovers {
  readonly load: 'idle' | 'saturated';
  readonly minutes: number;
  readonly epochsChanged: number;
  readonly acked: number;
  /** The longest time that one client went without an acknowledgement. */
  readonly longestWaitMs: number;
}

const lookEveryMs = 5000;

/**
 * Watches a cluster in which nothing fails: idle, or with every core taken by programs that only compute, beside clients that write.
 * The figure is 0 changes of leader.
 */
export async function benchFalseFailover(
  context: BenchContext,
  load: FalseFailovers['load'],
  minutes: number,
): Promise<FalseFailovers> {
  return onCluster(context, async (cluster, leader) => {
    const password = await prepareDatabases(cluster, leader);
    const before = (await statusOf(cluster.nodes))?.epoch ?? 0;
    const burners = load === 'saturated' ? burn(availableParallelism()) : [];
    const workload = load === 'saturated' ? makeWorkload(context, cluster, password) : null;
    workload?.start();
    context.say(`watching for ${minutes} minutes (${load}), epoch ${before}`);
    const endMs = monotonicMs() + minutes * 60_000;
    try {
      while (monotonicMs() < endMs) {
        await pauseUnlessInterrupted(Math.min(lookEveryMs, endMs - monotonicMs()), context.signal);
        const epoch = (await statusOf(cluster.nodes))?.epoch ?? before;
        if (epoch !== before)
          context.say(`epoch ${epoch} after ${Math.round(minutes * 60 - (endMs - monotonicMs()) / 1000)} s`);
      }
    } finally {
      for (const burner of burners) burner.kill('SIGKILL');
    }
    const ops = (await workload?.stop())?.ops ?? [];
    const after = (await statusOf(cluster.nodes, 5000))?.epoch ?? before;
    const acked = ops.filter(({ outcome }) => outcome === 'ok');
    return {
      load,
      minutes,
      epochsChanged: after - before,
      acked: acked.length,
      longestWaitMs: Math.round(acked.reduce((longest, op) => Math.max(longest, op.completeMs - op.invokeMs), 0)),
    };
  });
}

function makeWorkload({ options }: BenchContext, cluster: LocalCluster, password: string): Workload {
  let next = 1;
  const nextId = (): number => {
    next += 1;
    return next;
  };
  const { writers, everyMs } = options;
  return new Workload({
    database: databaseFor(cluster),
    network: networkTargets(cluster, password),
    local: [],
    writers,
    everyMs,
    deadlineMs: 30_000,
    nextId,
  });
}

/** Programs that keep one core each busy, at the priority of everybody else. */
const burn = (count: number) =>
  Array.from({ length: count }, () =>
    spawn(process.execPath, ['-e', 'for (;;) Math.sqrt(Math.random());'], { stdio: 'ignore' }),
  );
