import type { LocalCluster, LocalNode } from '@understudy/local';
import { reasonOf } from '../errors.ts';
import type { Fault } from '../faults/fault.ts';
import { faults } from '../faults/index.ts';
import { waitUntilConverged } from '../run/converge.ts';
import { adminTarget } from '../run/targets.ts';
import { pause } from '../time.ts';
import { companyContent, createCompany, salariesTotal } from './company.ts';
import {
  type Balances,
  balanceProblems,
  balancesOn,
  loadPgbench,
  type PgbenchRun,
  pgbenchDatabase,
  startPgbench,
} from './pgbench.ts';

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

const scale = 2;
const clients = 4;
const beforeFaultMs = 2000;
const convergeMs = 60_000;

/**
 * The five-minute tour on real data: `company_db` as in every tutorial and pgbench's TPC-B-like bank, carried through a kill, a switchover
 * and the return of a lost replica; after each, the rows and the balances are compared on every node.
 *
 * @returns every step with its result; a failed one does not keep the others from being tried.
 */
export async function runTour(context: TourContext): Promise<readonly TourStep[]> {
  const tour = new Tour(context);
  return tour.run();
}

class Tour {
  readonly #context: TourContext;
  readonly #steps: TourStep[] = [];
  #leader: string;

  constructor(context: TourContext) {
    this.#context = context;
    this.#leader = context.leader;
  }

  async run(): Promise<readonly TourStep[]> {
    const { cluster } = this.#context;
    await this.#step('company_db is loaded and read on every node', async () => {
      await createCompany(cluster, this.#leader);
      return this.#compareCompany();
    });
    const { server } = cluster;
    const program = server.engine === 'postgres' ? server.tools.pgbench : null;
    if (program === null) {
      const text = 'there is no pgbench on this machine (Debian: package postgresql-contrib), or not for this engine';
      this.#note({ step: 'pgbench', result: 'left-out', text });
    } else {
      await this.#step('pgbench loads its bank', async () => {
        await loadPgbench(program, cluster, this.#leader, scale);
        return this.#compareBalances();
      });
      for (const name of ['kill-database', 'switchover', 'kill-replica'] as const) {
        const fault = faults.get(name);
        if (fault !== undefined)
          await this.#step(`pgbench through ${name} (${fault.text})`, () => this.#through(program, fault));
      }
    }
    await this.#step('company_db is unchanged on every node', () => this.#compareCompany());
    return this.#steps;
  }

  async #step(step: string, work: () => Promise<string>): Promise<void> {
    this.#context.say(step);
    try {
      this.#note({ step, result: 'passed', text: await work() });
    } catch (error) {
      if (this.#context.signal.aborted) throw error;
      this.#note({ step, result: 'failed', text: reasonOf(error) });
    }
  }

  #note(step: TourStep): void {
    this.#steps.push(step);
    this.#context.onStep(step);
  }

  /** Transactions before, during and after a fault; then every node must have the same, and balanced. */
  async #through(program: string, fault: Fault): Promise<string> {
    const { cluster, signal, say } = this.#context;
    const leader = cluster.node(this.#leader);
    const during = this.#bench(program, leader);
    try {
      await pause(beforeFaultMs, signal);
      const replicas = cluster.nodes.filter((node) => node !== leader);
      const injected = await fault.inject({ cluster, leader, replicas, signal, say });
      await pause(fault.holdMs, signal);
      await injected.heal();
    } finally {
      during.stop();
      await during.ended;
    }
    await this.#whole();
    const after = this.#bench(program, cluster.node(this.#leader));
    await pause(beforeFaultMs, signal);
    after.stop();
    await after.ended;
    return this.#compareBalances();
  }

  #bench(program: string, node: LocalNode): PgbenchRun {
    const target = adminTarget(this.#context.cluster, node.name, pgbenchDatabase);
    return startPgbench(program, target, [`--client=${clients}`, '--jobs=1', '--time=600', '--no-vacuum']);
  }

  async #whole(): Promise<void> {
    const { cluster, signal } = this.#context;
    const state = await waitUntilConverged(cluster, convergeMs, signal);
    if (state.kind === 'not-converged') throw new Error(`the cluster is not whole ${state.why}`);
    this.#leader = state.leader;
  }

  async #compareBalances(): Promise<string> {
    await this.#whole();
    const { cluster } = this.#context;
    const byNode = new Map<string, Balances>();
    for (const { name } of cluster.nodes) byNode.set(name, await balancesOn(cluster, name));
    const problems = balanceProblems(byNode);
    if (problems.length > 0) throw new Error(problems.join('; '));
    const own = byNode.get(this.#leader);
    return `${own?.transactions ?? 0} transactions, sum ${own?.history ?? '?'} in accounts, tellers, branches and history of ${byNode.size} nodes`;
  }

  async #compareCompany(): Promise<string> {
    await this.#whole();
    const { cluster } = this.#context;
    const contents = new Map<string, string>();
    for (const { name } of cluster.nodes) contents.set(name, await companyContent(cluster, name));
    const distinct = new Set(contents.values());
    const [content = ''] = distinct;
    if (distinct.size !== 1) throw new Error([...contents].map(([node, text]) => `${node}: ${text}`).join('; '));
    if (!content.endsWith(`salaries ${salariesTotal}`)) throw new Error(`${content}, but ${salariesTotal} was loaded`);
    return `${content}, on ${contents.size} nodes`;
  }
}
