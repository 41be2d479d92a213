import type { LocalCluster } from '@understudy/local';
import { faults } from '../../faults/index.ts';
import type { DrillOptions } from '../../options.ts';
import { type ClusterIo, startCluster } from '../../run/cluster.ts';
import { waitUntilConverged } from '../../run/converge.ts';
import { runOnce } from '../../run/one.ts';
import { prepareDatabases } from '../../run/setup.ts';
import { PatroniCluster } from './cluster.ts';
import type { Side } from './contender.ts';
import { failed, measuredOf } from './measured.ts';
import { runPatroni } from './one.ts';
import type { Programs } from './programs.ts';

interface Understudy {
  readonly cluster: LocalCluster;
  readonly password: string;
}

/** Understudy's cluster, as the drill makes and measures it. */
export function understudySide(options: DrillOptions, io: ClusterIo): Side<Understudy> {
  const ids = { next: 1 };
  const { signal } = io;
  return {
    async start() {
      const { cluster, leader } = await startCluster(options, 'namespaces', io);
      try {
        return { cluster, password: await prepareDatabases(cluster, leader) };
      } catch (error) {
        await cluster.stop();
        throw error;
      }
    },
    async run({ cluster, password }, name, say) {
      const before = await waitUntilConverged(cluster, options.convergeMs, signal);
      if (before.kind === 'not-converged') return failed(`not whole before the fault, ${before.why}`);
      const fault = faults.get(name);
      if (fault === undefined) return failed(`the drill has no fault ${name}`);
      const context = { cluster, password, disks: null, options, ids, signal, say };
      return measuredOf(await runOnce(fault, before.leader, context));
    },
    async end({ cluster }, folder) {
      if (folder === 'remove') return cluster.destroy();
      await cluster.stop();
      io.notice(`Understudy's folder with logs and data stays: ${cluster.folder}`);
    },
  };
}

export function patroniSide(programs: Programs, options: DrillOptions, io: ClusterIo): Side<PatroniCluster> {
  const ids = { next: 1 };
  const { signal } = io;
  return {
    start: () => PatroniCluster.start(programs, io),
    async run(cluster, fault, say) {
      const before = await cluster.waitUntilConverged(options.convergeMs);
      if (before.kind === 'not-converged') return failed(`not whole before the fault, ${before.why}`);
      return runPatroni(fault, before.leader, { cluster, options, ids, signal, say });
    },
    end: (cluster, folder) => cluster.end(folder),
  };
}
