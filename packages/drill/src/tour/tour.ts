import { monotonicMs, pauseUnlessInterrupted, reasonOf } from '@understudy/base';
import type { LocalCluster, LocalServer } from '@understudy/local';
import { findSysbench } from '@understudy/servers';
import type { Tried } from '../check/set.ts';
import { databaseFor } from '../database/index.ts';
import type { Fault } from '../faults/fault.ts';
import { faults } from '../faults/index.ts';
import { waitUntilConverged } from '../run/converge.ts';
import { adminTarget, socketTargets } from '../run/targets.ts';
import { writesFlow } from '../run/writes-flow.ts';
import { Workload } from '../workload/workload.ts';
import { type Bench, Carried } from './bench.ts';
import { compareTables } from './checksums.ts';
import { companyContent, createCompany, salariesTotal } from './company.ts';
import { pgbench } from './pgbench.ts';
import { checkOrders, createRetail, firstRef, retailDatabase, takingOrders } from './retail.ts';
import { Sysbench } from './sysbench.ts';

export interface TourStep {
  readonly step: string;
  readonly result: 'passed' | 'failed' | 'left-out';
  /** What was found, in a line. */
  readonly text: string;
}

export interface TourContext {
  readonly cluster: LocalCluster;
  readonly leader: string;
  readonly signal: AbortSignal;
  readonly onStep: (step: TourStep) => void;
  readonly say: (text: string) => void;
}

const convergeMs = 60_000;
const flowWithinMs = 30_000;
/** Clients that place orders, each so often, and how long each waits for an answer. */
const orders = { writers: 4, everyMs: 25, deadlineMs: 1000 };
const faultNames = ['kill-database', 'switchover', 'kill-replica'] as const;

/**
 * The tour on real data: `company_db` and `retail_db` as in every tutorial, and the engine's own benchmark (pgbench, sysbench), carried
 * through a kill, a switchover and the loss of a replica. After each, acknowledged orders, money and the checksums of all tables are
 * compared on every node.
 *
 * @returns every step with its result; a failed one does not keep the others from being tried.
 */
export async function runTour(context: TourContext): Promise<readonly TourStep[]> {
  const tour = new Tour(context);
  try {
    return await tour.run();
  } finally {
    await tour.close();
  }
}

class Tour {
  readonly #context: TourContext;
  readonly #steps: TourStep[] = [];
  readonly #tried: Tried[] = [];
  #leader: string;
  #nextRef = firstRef;
  #close: () => Promise<void> = async () => undefined;

  constructor(context: TourContext) {
    this.#context = context;
    this.#leader = context.leader;
  }

  async run(): Promise<readonly TourStep[]> {
    const { cluster } = this.#context;
    await this.#step('company_db and retail_db are loaded and read on every node', async () => {
      await createCompany(cluster, this.#leader);
      await createRetail(cluster, this.#leader);
      return this.#compare(null);
    });
    const bench = await this.#loadBench();
    for (const name of faultNames) {
      const fault = faults.get(name);
      if (fault !== undefined) {
        const step = `orders${bench === null ? '' : ` and ${bench.name}`} through ${name} (${fault.text})`;
        await this.#step(step, () => this.#through(fault, bench));
      }
    }
    return this.#steps;
  }

  async close(): Promise<void> {
    await this.#close();
  }

  async #step(step: string, work: () => Promise<string>): Promise<'passed' | 'failed'> {
    this.#context.say(step);
    try {
      this.#note({ step, result: 'passed', text: await work() });
      return 'passed';
    } catch (error) {
      if (this.#context.signal.aborted) throw error;
      this.#note({ step, result: 'failed', text: reasonOf(error) });
      return 'failed';
    }
  }

  #note(step: TourStep): void {
    this.#steps.push(step);
    this.#context.onStep(step);
  }

  /** The benchmark with its tables; null when there is none on this machine, which is said, or when it could not load them. */
  async #loadBench(): Promise<Bench | null> {
    const { cluster } = this.#context;
    const found = await this.#findBench(cluster.server);
    if (typeof found === 'string') {
      this.#note({ step: 'benchmark', result: 'left-out', text: found });
      return null;
    }
    const result = await this.#step(`${found.name} loads its tables`, async () => {
      await found.load(this.#leader);
      return this.#compare(found);
    });
    return result === 'passed' ? found : null;
  }

  async #findBench(server: LocalServer): Promise<Bench | string> {
    const { cluster } = this.#context;
    if (server.engine === 'postgres') {
      const program = server.tools.pgbench;
      if (program === null) return 'there is no pgbench on this machine (Debian: package postgresql-contrib)';
      return pgbench(program, cluster);
    }
    const found = await findSysbench();
    if (found === null) return 'there is no sysbench on this machine: install it, or `npm run servers -- get sysbench`';
    const bench = await Sysbench.open(found, cluster);
    this.#close = () => bench.close();
    return bench;
  }

  /** Orders and transactions before, during and after a fault; then every node must hold the same, and all that was acknowledged. */
  async #through(fault: Fault, bench: Bench | null): Promise<string> {
    const { cluster, signal, say } = this.#context;
    const leader = cluster.node(this.#leader);
    const replicas = cluster.nodes.filter((node) => node !== leader);
    const workload = this.#orders();
    const carried = bench === null ? null : new Carried(bench, cluster);
    workload.start();
    carried?.start();
    const flow = (sinceMs: number) => writesFlow(workload, sinceMs, flowWithinMs, signal);
    let acknowledged = 0;
    let made: Awaited<ReturnType<Carried['stop']>> | undefined;
    try {
      if ((await flow(monotonicMs())) === 'blocked') throw new Error('no orders were acknowledged before the fault');
      const injected = await fault.inject({ cluster, leader, replicas, disks: null, signal, say, writesFlow: flow });
      await pauseUnlessInterrupted(fault.holdMs, signal);
      await injected.heal();
      if ((await flow(monotonicMs())) === 'blocked') throw new Error('no orders were acknowledged after the fault');
      await carried?.atWork(flowWithinMs, signal);
    } finally {
      const { ops } = await workload.stop();
      this.#tried.push(...ops);
      acknowledged = ops.filter(({ outcome }) => outcome === 'ok').length;
      made = await carried?.stop();
    }
    if (made?.transactions === 0) throw new Error(`${bench?.name} made no transaction`);
    const beside =
      made === undefined ? '' : `, about ${made.transactions} transactions of ${bench?.name} (${made.starts} starts)`;
    return `${acknowledged} orders acknowledged${beside}; ${await this.#compare(bench)}`;
  }

  #orders(): Workload {
    const { cluster } = this.#context;
    const network = cluster.nodes.map(({ name }) => adminTarget(cluster, name, retailDatabase));
    const nextId = (): number => {
      this.#nextRef += 1;
      return this.#nextRef - 1;
    };
    const local = socketTargets(cluster, retailDatabase);
    return new Workload({ database: takingOrders(databaseFor(cluster)), network, local, ...orders, nextId });
  }

  /** Nobody writes any more, so a whole cluster is one in which all nodes hold the same. */
  async #compare(bench: Bench | null): Promise<string> {
    const { cluster, signal } = this.#context;
    const state = await waitUntilConverged(cluster, convergeMs, signal);
    if (state.kind === 'not-converged') throw new Error(`the cluster is not whole ${state.why}`);
    this.#leader = state.leader;
    const found = [await checkOrders(cluster, this.#tried), await this.#compareCompany()];
    if (bench !== null) found.push(`${bench.name}: ${await bench.check()}`);
    found.push(await compareTables(cluster, this.#leader));
    return found.join('; ');
  }

  async #compareCompany(): Promise<string> {
    const { cluster } = this.#context;
    for (const { name } of cluster.nodes) {
      const content = await companyContent(cluster, name);
      if (!content.endsWith(`salaries ${salariesTotal}`))
        throw new Error(`${name}: company_db holds ${content}, but ${salariesTotal} was loaded`);
    }
    return `salaries ${salariesTotal}`;
  }
}
