import { DatabaseSync } from 'node:sqlite';
import { sendSignal, thaw } from '@understudy/local';
import { DrillError, reasonOf } from '../errors.ts';
import { nowMs, pollUntil } from '../time.ts';
import type { Fault, FaultContext, Injected } from './fault.ts';

const lockWithinMs = 5000;

/** Stops every member of etcd, or holds the write lock of the local store's file: agents can then neither renew nor decide. */
export const storeDown: Fault = {
  name: 'store-down',
  text: 'the consensus store does not answer for 10 s',
  needs: 'nothing',
  holdMs: 10_000,
  writes: 'go-on',
  inject: async (context) => {
    const { etcd } = context.cluster;
    if (etcd === null) return lockFile(context);
    const pids = etcd.processes.map(({ pid }) => pid);
    if (pids.length === 0) throw new DrillError('FAULT_FAILED', 'etcd does not run.');
    const atMs = nowMs();
    for (const pid of pids) sendSignal(pid, 'SIGSTOP');
    return { atMs, heal: async () => thaw(pids) };
  },
};

async function lockFile({ cluster, signal }: FaultContext): Promise<Injected> {
  const database = new DatabaseSync(cluster.paths.storeFile, { timeout: 0 });
  const locked = await pollUntil(() => tryLock(database), { everyMs: 3, timeoutMs: lockWithinMs, signal });
  if (locked !== 'locked') {
    database.close();
    throw new DrillError('FAULT_FAILED', `The store's file could not be locked within ${lockWithinMs} ms (${locked}).`);
  }
  const atMs = nowMs();
  let isHeld = true;
  const heal = async (): Promise<void> => {
    if (!isHeld) return;
    isHeld = false;
    database.close();
  };
  return { atMs, heal };
}

/** Null while an agent holds the lock itself. */
function tryLock(database: DatabaseSync): 'locked' | null {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return 'locked';
  } catch (error) {
    if (/locked|busy/.test(reasonOf(error))) return null;
    throw new DrillError('FAULT_FAILED', `The store's file cannot be locked: ${reasonOf(error)}.`, { cause: error });
  }
}
