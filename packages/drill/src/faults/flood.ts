import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { monotonicMs, pollUntil } from '@understudy/base';
import { DrillError } from '../errors.ts';
import type { Fault, FaultContext } from './fault.ts';
import type { FloodPlan, FloodTarget } from './flood-main.ts';
import { killHost } from './processes.ts';

const program = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './flood-main.ts' : './flood-main.js', import.meta.url),
);
/** In all; the process that opens them may have so many files open, and has to have some left. */
const connectionsMax = 10_000;
const againMs = 3000;
const openWithinMs = 15_000;
/** Of one database: more than it has room for. */
const perDatabase = 400;
const settleMs = 2000;

/** A process that holds connections, and what it says of them. */
class Flood {
  open = 0;
  readonly #child: ChildProcess;

  constructor(plan: FloodPlan) {
    this.#child = spawn(process.execPath, [program, JSON.stringify(plan)], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child.on('message', (open) => {
      this.open = Number(open);
    });
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async end(): Promise<void> {
    if (this.hasEnded) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** Starts it, and waits until it holds what it can hold: no more for two seconds. */
async function begin(plan: FloodPlan, { signal, say }: FaultContext): Promise<Flood> {
  const flood = new Flood(plan);
  let most = 0;
  let sinceMs = monotonicMs();
  const settled = await pollUntil(
    () => {
      if (flood.hasEnded) throw new DrillError('FAULT_FAILED', 'The attacking process has ended.');
      if (flood.open > most) [most, sinceMs] = [flood.open, monotonicMs()];
      return most > 0 && monotonicMs() - sinceMs > settleMs ? true : null;
    },
    { everyMs: 50, timeoutMs: openWithinMs, signal },
  ).catch(async (error: unknown) => {
    await flood.end();
    throw error;
  });
  if (settled === null && most === 0) {
    await flood.end();
    throw new DrillError('FAULT_FAILED', 'No hostile connection was ever open.');
  }
  say(`${plan.each * plan.targets.length} hostile connections to ${plan.targets.length} ports, ${most} open at once`);
  return flood;
}

function agentsAndStore({ cluster }: FaultContext): readonly FloodTarget[] {
  const urls = [
    ...cluster.nodes.map(({ address }) => address.apiUrl),
    ...(cluster.etcd?.members ?? []).map(({ url }) => url),
  ];
  return urls.map((text) => {
    const { protocol, hostname, port } = new URL(text);
    return { host: hostname, port: Number(port), speaks: protocol === 'https:' ? 'https' : 'http' };
  });
}

/**
 * Hostile connections of all kinds that need no login, to the agents' API and to etcd, opened again as soon as they are ended; then the
 * primary's host is killed. Clients must not wait longer than in `kill-host`.
 */
export const flood: Fault = {
  name: 'flood',
  text: "10,000 hostile connections to the agents' and etcd's ports, then SIGKILL to everything on the primary's host",
  needs: 'nothing',
  holdMs: 3000,
  writes: 'go-on',
  inject: async (context) => {
    const targets = agentsAndStore(context);
    const started = await begin({ targets, each: Math.floor(connectionsMax / targets.length), againMs }, context);
    try {
      const killed = await killHost.inject(context);
      // The host comes back while the flood goes on: its agent has to be heard through it.
      const heal = async (): Promise<void> => {
        await killed.heal();
        await started.end();
      };
      return { atMs: killed.atMs, heal };
    } catch (error) {
      await started.end();
      throw error;
    }
  },
};

/** Connections without a login to every database, more than it has room for: who is connected goes on, and so does who leads. */
export const floodDatabase: Fault = {
  name: 'flood-database',
  text: 'hostile connections without a login to every database for 8 s, more than it has room for: whoever is connected goes on',
  needs: 'nothing',
  holdMs: 8000,
  writes: 'go-on',
  inject: async (context) => {
    const targets = context.cluster.nodes.map(({ address }): FloodTarget => {
      return { host: address.host, port: address.dbPort, speaks: 'database' };
    });
    const atMs = monotonicMs();
    const started = await begin({ targets, each: perDatabase, againMs }, context);
    return { atMs, heal: () => started.end() };
  },
};
