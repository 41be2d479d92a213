import { monotonicMs, pollUntil } from '@understudy/base';
import { type ProcessInfo, processInfo, signalPid } from '@understudy/base/processes';
import { type LocalNode, thaw } from '@understudy/local';
import { DrillError } from '../errors.ts';
import type { Fault, Injected } from './fault.ts';
import { bringStoreLeader } from './store.ts';

const nothing = async (): Promise<void> => undefined;

/** The process that is to be hit; a fault that hits nothing would prove nothing. */
export function target(node: LocalNode, what: string, found: ProcessInfo | null | undefined): ProcessInfo {
  if (found !== null && found !== undefined) return found;
  throw new DrillError('FAULT_FAILED', `${node.name} has no running ${what} to hit.`);
}

function kill(node: LocalNode, what: string, found: ProcessInfo | null | undefined): Injected {
  const { pid } = target(node, what, found);
  const atMs = monotonicMs();
  signalPid(pid, 'SIGKILL');
  return { atMs, heal: nothing };
}

export const killDatabase: Fault = {
  name: 'kill-database',
  text: "SIGKILL to the primary's first process",
  needs: 'nothing',
  holdMs: 0,
  writes: 'go-on',
  inject: async ({ leader }) => kill(leader, 'database server', leader.server()),
};

export const killAgent: Fault = {
  name: 'kill-agent',
  text: "SIGKILL to the primary's agent",
  needs: 'nothing',
  holdMs: 4000,
  writes: 'go-on',
  inject: async ({ leader }) => kill(leader, 'agent', leader.agents()[0]),
};

export const killGuard: Fault = {
  name: 'kill-guard',
  text: "SIGKILL to the primary's guard",
  needs: 'nothing',
  holdMs: 4000,
  writes: 'go-on',
  inject: async ({ leader }) => kill(leader, 'guard', leader.guards()[0]),
};

export const freezeAgent: Fault = {
  name: 'freeze-agent',
  text: "SIGSTOP to the primary's agent for 8 s; its database runs on",
  needs: 'nothing',
  holdMs: 8000,
  writes: 'go-on',
  inject: async ({ leader }) => {
    const { pid, startTicks } = target(leader, 'agent', leader.agents()[0]);
    const atMs = monotonicMs();
    signalPid(pid, 'SIGSTOP');
    const heal = async (): Promise<void> => {
      if (processInfo(pid)?.startTicks === startTicks) signalPid(pid, 'SIGCONT');
    };
    return { atMs, heal };
  },
};

export const killHost: Fault = {
  name: 'kill-host',
  text: "SIGKILL to everything on the primary's host at once; started again later",
  needs: 'nothing',
  holdMs: 3000,
  writes: 'go-on',
  inject: async (context) => {
    const { leader } = context;
    await bringStoreLeader(context);
    const atMs = monotonicMs();
    await leader.killHost();
    return { atMs, heal: async () => leader.start() };
  },
};

export const killReplica: Fault = {
  name: 'kill-replica',
  text: "SIGKILL to everything on a replica's host at once; started again later",
  needs: 'nothing',
  holdMs: 3000,
  writes: 'go-on',
  inject: async ({ replicas }) => {
    const [replica] = replicas;
    if (replica === undefined) throw new DrillError('FAULT_FAILED', 'There is no replica to hit.');
    const atMs = monotonicMs();
    await replica.killHost();
    return { atMs, heal: async () => replica.start() };
  },
};

export const killAll: Fault = {
  name: 'kill-all',
  text: 'SIGKILL to everything on every host at once; all started again 2 s later',
  needs: 'nothing',
  holdMs: 2000,
  writes: 'stop',
  inject: async ({ cluster }) => {
    const atMs = monotonicMs();
    await Promise.all(cluster.nodes.map((node) => node.killHost()));
    const heal = async (): Promise<void> => {
      for (const node of cluster.nodes) node.start();
    };
    return { atMs, heal };
  },
};

export const freeze: Fault = {
  name: 'freeze',
  text: "SIGSTOP to everything on the primary's host; thawed after 6 s",
  needs: 'nothing',
  holdMs: 6000,
  writes: 'go-on',
  inject: async (context) => {
    const { leader } = context;
    await bringStoreLeader(context);
    const atMs = monotonicMs();
    const frozen = await leader.freezeHost();
    return { atMs, heal: async () => thaw(frozen) };
  },
};

const successorWithinMs = 20_000;

export const double: Fault = {
  name: 'double',
  text: "SIGKILL to the primary's database, and to its successor's as soon as that leads",
  needs: 'nothing',
  holdMs: 0,
  writes: 'go-on',
  inject: async ({ leader, replicas, signal, say }) => {
    const first = kill(leader, 'database server', leader.server());
    const successor = await pollUntil(
      async () => {
        const views = await Promise.all(replicas.map((node) => node.api.status(500).catch(() => null)));
        const open = views.find(
          (view) => view?.phase === 'open' && view.leader !== null && view.leader !== leader.name,
        );
        return replicas.find((node) => node.name === open?.leader) ?? null;
      },
      { everyMs: 10, timeoutMs: successorWithinMs, signal },
    );
    if (successor === null) throw new DrillError('FAULT_FAILED', 'No successor opened, so it could not be hit.');
    say(`${successor.name} has taken over and is hit as well`);
    const server = successor.server();
    if (server !== null) signalPid(server.pid, 'SIGKILL');
    return first;
  },
};

export const restart: Fault = {
  name: 'restart',
  text: "the primary's agent is stopped in order, with its server, and started again",
  needs: 'nothing',
  holdMs: 2000,
  writes: 'go-on',
  inject: async ({ leader }) => {
    const atMs = monotonicMs();
    await leader.stop();
    return { atMs, heal: async () => leader.start() };
  },
};
