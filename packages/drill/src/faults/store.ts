import { DatabaseSync } from 'node:sqlite';
import { monotonicMs, pauseUnlessInterrupted, pollUntil, reasonOf } from '@understudy/base';
import { signalPid } from '@understudy/base/processes';
import { thaw } from '@understudy/local';
import { DrillError } from '../errors.ts';
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
    const atMs = monotonicMs();
    for (const pid of pids) signalPid(pid, 'SIGSTOP');
    return { atMs, heal: async () => thaw(pids) };
  },
};

const storeAwayMs = 2000;

/**
 * The primary's host and the store are lost at once; the store alone comes back, in etcd's layout on the hosts without the member of
 * that host. What clients wait is those two seconds, and what the others need from there.
 */
export const killHostAndStore: Fault = {
  name: 'kill-host-and-store',
  text: "SIGKILL to the primary's host and to every member of etcd at once; the store is back 2 s later, the host after writes go on",
  needs: 'nothing',
  holdMs: storeAwayMs + 3000,
  writes: 'go-on',
  inject: async (context) => {
    const { cluster, leader, signal } = context;
    const { etcd } = cluster;
    if (etcd === null) {
      const locked = await lockFile(context);
      try {
        await leader.killHost();
        await pauseUnlessInterrupted(storeAwayMs, signal);
      } finally {
        await locked.heal();
      }
      return { atMs: locked.atMs, heal: async () => leader.start() };
    }
    const atMs = monotonicMs();
    await Promise.all([etcd.kill(), leader.killHost()]);
    try {
      await pauseUnlessInterrupted(storeAwayMs, signal);
    } finally {
      for (const member of etcd.members) if (member.node !== leader.name) member.start();
    }
    return { atMs, heal: async () => leader.start() };
  },
};

/** Where etcd lives on the hosts, its leader is brought to the primary's: a host that is lost then takes both leaders along. */
export async function bringStoreLeader({ cluster, leader, signal, say }: FaultContext): Promise<void> {
  const member = cluster.etcd?.on(leader.name) ?? null;
  if (member === null) return;
  say(`making ${member.name} on ${leader.name} the leader of etcd`);
  await cluster.etcd?.makeLead(member, signal);
}

async function lockFile({ cluster, signal }: FaultContext): Promise<Injected> {
  const database = new DatabaseSync(cluster.paths.storeFile, { timeout: 0 });
  const locked = await pollUntil(() => tryLock(database), { everyMs: 3, timeoutMs: lockWithinMs, signal });
  if (locked !== 'locked') {
    database.close();
    throw new DrillError('FAULT_FAILED', `The store's file could not be locked within ${lockWithinMs} ms (${locked}).`);
  }
  const atMs = monotonicMs();
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
