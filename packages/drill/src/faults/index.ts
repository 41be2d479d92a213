import { slowDisk, stalledDisk } from './disk.ts';
import { type Fault, type FaultName, faultNames } from './fault.ts';
import { flood, floodDatabase } from './flood.ts';
import { halfOpenLink, partition, partitionOneWay, slowLink } from './network.ts';
import * as processes from './processes.ts';
import { replicaRelayCorrupt } from './relay-corrupt.ts';
import { semiSyncReplicaLoss } from './replica-loss.ts';
import { restartPrimaryInPlace } from './restart-in-place.ts';
import { killHostAndStore, storeDown } from './store.ts';
import { switchover } from './switchover.ts';
import { zombiePrimary } from './zombie.ts';

const all: readonly Fault[] = [
  processes.killDatabase,
  processes.killHost,
  partition,
  partitionOneWay,
  halfOpenLink,
  slowLink,
  zombiePrimary,
  slowDisk,
  stalledDisk,
  processes.freeze,
  processes.freezeAgent,
  processes.killAgent,
  processes.killGuard,
  processes.killReplica,
  processes.killAll,
  processes.double,
  processes.restart,
  restartPrimaryInPlace,
  semiSyncReplicaLoss,
  replicaRelayCorrupt,
  storeDown,
  killHostAndStore,
  flood,
  floodDatabase,
  switchover,
];

/** Every fault, by name, in the order in which they are run. */
export const faults: ReadonlyMap<FaultName, Fault> = new Map(
  faultNames.flatMap((name) => {
    const found = all.find((fault) => fault.name === name);
    return found === undefined ? [] : [[name, found] as const];
  }),
);
