import { reasonOf } from '@understudy/base';
import type { LocalCluster } from '@understudy/local';
import { nothingSeen } from '../check/phases.ts';
import type { Tried } from '../check/set.ts';
import { drillDatabase } from '../database/database.ts';
import { DrillError } from '../errors.ts';
import type { Fault, FaultName } from '../faults/fault.ts';
import { faults } from '../faults/index.ts';
import { type Floor, measureFloor } from '../floor/floor.ts';
import type { DrillOptions } from '../options.ts';
import {
  type DrillReport,
  type FaultReport,
  faultReport,
  isViolated,
  machineText,
  underLoad,
} from '../report/report.ts';
import { Busy } from './busy.ts';
import { chooseHosts, newFolder, startCluster } from './cluster.ts';
import { waitUntilConverged } from './converge.ts';
import { Disks } from './disks.ts';
import { type RunContext, type RunResult, runOnce } from './one.ts';
import { prepareDatabases } from './setup.ts';
import { withAdmin } from './sql.ts';
import { notCompared, verifyContents } from './verify.ts';

/** What happens while a drill runs, for whoever shows it. */
export type DrillEvent =
  /** A line that stays. */
  | { readonly kind: 'notice'; readonly text: string }
  /** What is being done now; replaced by the next one. */
  | { readonly kind: 'progress'; readonly text: string }
  | {
      readonly kind: 'run';
      readonly fault: string;
      readonly run: number;
      readonly of: number;
      readonly result: RunResult;
    }
  | { readonly kind: 'fault'; readonly report: FaultReport };

export interface DrillIo {
  /** Program and arguments by which `understudy` is run here; the drill appends `agent --config FILE`. */
  readonly command: readonly string[];
  readonly signal: AbortSignal;
  readonly onEvent: (event: DrillEvent) => void;
}

/** A cluster of the drill, with its tables. */
interface Arena {
  readonly cluster: LocalCluster;
  readonly password: string;
  /** Of its own for each node, where a chosen fault needs them. */
  readonly disks: Disks | null;
}

/**
 * Builds a cluster of its own, injects each fault so and so often under load, and judges every acknowledged write. The cluster is
 * ended in any case; its folder stays when something was wrong.
 *
 * @throws DrillError `INTERRUPTED`, `SETUP_FAILED`; LocalError when a cluster cannot be started.
 */
export async function runDrill(options: DrillOptions, io: DrillIo): Promise<DrillReport> {
  const drill = new Drill(options, io);
  try {
    return await drill.run();
  } finally {
    await drill.end();
  }
}

class Drill {
  readonly #options: DrillOptions;
  readonly #io: DrillIo;
  readonly #hosts: 'loopback' | 'namespaces';
  readonly #ids = { next: 1 };
  #arena: Arena | null = null;
  #version = '';
  #violated = false;

  constructor(options: DrillOptions, io: DrillIo) {
    this.#options = options;
    this.#io = io;
    this.#hosts = chooseHosts(options.hosts, (text) => this.#notice(text));
  }

  async run(): Promise<DrillReport> {
    const floor = await this.#floor();
    const reports: FaultReport[] = [];
    this.#sayLeftOut();
    for (const fault of this.#possibleFaults()) {
      const report = await this.#runFault(fault);
      reports.push(report);
      this.#io.onEvent({ kind: 'fault', report });
      if (this.#options.load > 0) reports.push(underLoad(await this.#runLoaded(fault), report, this.#options.load));
    }
    const { engine, store, durability } = this.#options;
    return { engine, version: this.#version, store, durability, machine: machineText(), floor, faults: reports };
  }

  /** Measured in the same run as the outages: machines differ from day to day, multiples of the floor do not. */
  async #floor(): Promise<Floor | null> {
    const { engine, serverVersion, pgVersion, binDir, floorRuns: runs } = this.#options;
    if (runs === 0) return null;
    const version = serverVersion ?? pgVersion;
    const server = { ...(version === undefined ? {} : { version }), ...(binDir === undefined ? {} : { binDir }) };
    const floor = await measureFloor({ engine, runs, ...server }, this.#io.signal, (text) => this.#progress(text));
    this.#notice(
      `Floor of this machine (bare ${engine}, ${runs} runs): ${floor.minMs} / ${floor.p50Ms} / ${floor.maxMs} ms`,
    );
    return floor;
  }

  async #runLoaded(fault: Fault): Promise<FaultReport> {
    const busy = new Busy(this.#options.load);
    try {
      return await this.#runFault(fault);
    } finally {
      busy.end();
    }
  }

  /** Ends the cluster; keeps its folder when somebody wants to look at it. */
  async end(): Promise<void> {
    const arena = this.#arena;
    this.#arena = null;
    if (arena === null) return;
    this.#progress('ending the cluster');
    const { folder } = arena.cluster;
    if (this.#violated || this.#options.keep === 'keep') {
      await this.#stopAndKeep(arena);
      this.#notice(`The cluster's folder with logs and data stays: ${folder}`);
      return;
    }
    if (arena.disks !== null) {
      await Promise.all(arena.cluster.nodes.map((node) => node.killHost()));
      await arena.cluster.stop();
      await arena.disks.unmount();
    }
    await arena.cluster.destroy();
  }

  async #stopAndKeep({ cluster, disks }: Arena): Promise<void> {
    await cluster.stop();
    if (disks === null) return;
    await disks.unmount();
    this.#notice(
      `Each node's data is in a file system of its own: mount -o loop ${cluster.folder}/disks/n1.img FOLDER`,
    );
  }

  #possibleFaults(): readonly Fault[] {
    const chosen = this.#options.faults.flatMap((name: FaultName) => faults.get(name) ?? []);
    return chosen.filter((fault) => this.#missing(fault) === null);
  }

  #sayLeftOut(): void {
    for (const name of this.#options.faults) {
      const fault = faults.get(name);
      const missing = fault === undefined ? null : this.#missing(fault);
      if (missing !== null) this.#notice(`Left out, for want of ${missing}: ${name}.`);
    }
  }

  #missing({ needs }: Fault): string | null {
    if (needs === 'namespaces') return this.#hosts === 'namespaces' ? null : 'network namespaces';
    if (needs === 'nothing') return null;
    const objection = Disks.objection();
    return objection === null ? null : `disks of their own (${objection})`;
  }

  async #runFault(fault: Fault): Promise<FaultReport> {
    const { runs } = this.#options;
    const results: RunResult[] = [];
    let tried: Tried[] = [];
    let fromId = this.#ids.next;
    for (let run = 1; run <= runs; run += 1) {
      const fresh = this.#arena === null;
      const arena = this.#arena ?? (await this.#build());
      if (fresh) {
        tried = [];
        fromId = this.#ids.next;
      }
      const result = await this.#attempt(fault, arena, run);
      results.push(result);
      tried.push(...result.tried);
      this.#io.onEvent({ kind: 'run', fault: fault.name, run, of: runs, result });
      if (result.problems.length > 0) await this.#abandon();
    }
    const problems = await this.#verifyAll(tried, fromId);
    const last = results.at(-1);
    if (problems !== null && last !== undefined) results[results.length - 1] = { ...last, ...problems };
    return faultReport(fault.name, results);
  }

  async #attempt(fault: Fault, arena: Arena, run: number): Promise<RunResult> {
    const { options, cluster, signal } = { options: this.#options, cluster: arena.cluster, signal: this.#io.signal };
    const say = (text: string): void => this.#progress(`${fault.name} ${run}/${options.runs}: ${text}`);
    const { password, disks } = arena;
    const context: RunContext = { cluster, password, disks, options, ids: this.#ids, signal, say };
    try {
      const before = await waitUntilConverged(cluster, options.convergeMs, signal);
      if (before.kind === 'not-converged') return failedRun(`not whole before the fault, ${before.why}`);
      return await runOnce(fault, before.leader, context);
    } catch (error) {
      if (signal.aborted) throw error;
      return failedRun(reasonOf(error));
    }
  }

  async #build(): Promise<Arena> {
    const { signal, command } = this.#io;
    const io = {
      command,
      signal,
      notice: (text: string) => this.#notice(text),
      progress: (text: string) => this.#progress(text),
    };
    const { folder, disks } = await this.#makeDisks();
    const options = folder === undefined ? this.#options : { ...this.#options, folder };
    const { cluster, leader } = await startCluster(options, this.#hosts, io).catch(async (error: unknown) => {
      await disks?.unmount();
      throw error;
    });
    try {
      this.#version = cluster.server.version;
      this.#arena = { cluster, password: await prepareDatabases(cluster, leader), disks };
      return this.#arena;
    } catch (error) {
      await cluster.stop();
      await disks?.unmount();
      this.#notice(`The cluster's folder with logs stays: ${cluster.folder}`);
      throw error;
    }
  }

  /** Only where a fault needs them: the figures of the others are of this machine's own disk. */
  async #makeDisks(): Promise<{ readonly folder: string | undefined; readonly disks: Disks | null }> {
    const { folder, nodes } = this.#options;
    if (!this.#possibleFaults().some(({ needs }) => needs === 'disks')) return { folder, disks: null };
    this.#progress('making a disk for each node');
    const own = folder ?? (await newFolder());
    return { folder: own, disks: await Disks.make(own, nodes) };
  }

  /** Ends a cluster in which something was wrong, keeps its folder, and goes on with a new one. */
  async #abandon(): Promise<void> {
    const arena = this.#arena;
    this.#arena = null;
    if (arena === null) return;
    await this.#stopAndKeep(arena);
    const { folder } = arena.cluster;
    this.#notice(`Something was wrong; the cluster's folder with logs and data stays: ${folder}`);
    if (this.#options.folder !== undefined) {
      throw new DrillError('SETUP_FAILED', `The drill cannot go on in ${folder}, which is kept for you to look at.`);
    }
  }

  /** Everything that was acknowledged in all runs of a fault must still be there after the last one. */
  async #verifyAll(tried: readonly Tried[], fromId: number): Promise<Pick<RunResult, 'contents' | 'problems'> | null> {
    const arena = this.#arena;
    if (arena === null) return null;
    this.#progress('comparing all nodes');
    const { cluster } = arena;
    const convergence = await waitUntilConverged(cluster, this.#options.convergeMs, this.#io.signal);
    if (convergence.kind === 'not-converged') {
      this.#violated = true;
      return { contents: notCompared, problems: [`at the end not whole ${convergence.why}`, ...notCompared.problems] };
    }
    const contents = await verifyContents(cluster, convergence.leader, tried, fromId);
    await withAdmin(cluster, convergence.leader, drillDatabase, (session) => session.rows('truncate table ids'));
    if (contents.problems.length === 0) return null;
    this.#violated = true;
    return { contents, problems: contents.problems };
  }

  #notice(text: string): void {
    this.#io.onEvent({ kind: 'notice', text });
  }

  #progress(text: string): void {
    this.#io.onEvent({ kind: 'progress', text });
  }
}

/** A run that could not be carried through proves nothing, so it counts as not converged. */
function failedRun(why: string): RunResult {
  return {
    tried: [],
    outage: { outageMs: 0, calmMs: 0, longestMs: 0, span: null },
    phases: nothingSeen,
    acked: 0,
    unknown: 0,
    dualAck: 0,
    unprotected: 0,
    dualWritableMs: 0,
    convergence: { kind: 'not-converged', why },
    contents: notCompared,
    problems: [why],
  };
}

/** Exit code of a drill: 0 when every run kept the promise. */
export const exitCodeOf = (report: DrillReport): 0 | 1 => (report.faults.some(isViolated) ? 1 : 0);
