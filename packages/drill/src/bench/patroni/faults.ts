import { monotonicMs } from '@understudy/base';
import { signalPid } from '@understudy/base/processes';
import { thaw } from '@understudy/local';
import { DrillError } from '../../errors.ts';
import type { FaultName, Injected } from '../../faults/fault.ts';
import type { PatroniCluster } from './cluster.ts';
import type { PatroniNode } from './node.ts';

/** The faults of the drill that hit both clusters in the same way. */
export const comparedFaults = [
  'kill-database',
  'kill-host',
  'partition',
  'freeze',
  'switchover',
] as const satisfies readonly FaultName[];

export type ComparedFault = (typeof comparedFaults)[number];

const nothing = async (): Promise<void> => undefined;

/** Does to Patroni's leader what the drill's fault of that name does to Understudy's. How long it stays is the drill's too. */
export async function injectPatroni(
  fault: ComparedFault,
  cluster: PatroniCluster,
  leader: PatroniNode,
): Promise<Injected> {
  const atMs = monotonicMs();
  switch (fault) {
    case 'kill-database': {
      const server = leader.server();
      if (server === null) throw new DrillError('FAULT_FAILED', `${leader.name} has no running server to hit.`);
      const killedMs = monotonicMs();
      signalPid(server.pid, 'SIGKILL');
      return { atMs: killedMs, heal: nothing };
    }
    case 'kill-host':
      await leader.killHost();
      return { atMs, heal: async () => leader.start() };
    case 'partition':
      await cluster.network.pull(leader.name);
      return { atMs, heal: () => cluster.network.plug(leader.name) };
    case 'freeze': {
      const frozen = await leader.freezeHost();
      return { atMs, heal: async () => thaw(frozen) };
    }
    case 'switchover': {
      const refusal = await leader.switchover();
      if (refusal === null) return { atMs, heal: nothing };
      throw new DrillError('FAULT_FAILED', `The switchover did not succeed: ${refusal}`);
    }
  }
}
