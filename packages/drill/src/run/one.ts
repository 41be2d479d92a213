import type { LocalCluster } from '@understudy/local';
import { checkDualAck } from '../check/dual-ack.ts';
import { dualWritableMs } from '../check/dual-writable.ts';
import { type Outage, outageOf } from '../check/outage.ts';
import { nothingSeen, type Phases, phasesOf } from '../check/phases.ts';
import type { Tried } from '../check/set.ts';
import { acknowledgedInSilence } from '../check/silence.ts';
import { databaseFor } from '../database/index.ts';
import type { Fault, Injected } from '../faults/fault.ts';
import type { DrillOptions } from '../options.ts';
import { type History, Workload } from '../workload/workload.ts';
import { type Convergence, waitUntilConverged } from './converge.ts';
import { type Course, runCourse } from './course.ts';
import { decisionsSince } from './decisions.ts';
import type { Disks } from './disks.ts';
import { networkTargets, socketTargets } from './targets.ts';
import { type Contents, notCompared, verifyContents } from './verify.ts';
import { writesFlow } from './writes-flow.ts';

export interface RunContext {
  readonly cluster: LocalCluster;
  readonly password: string;
  readonly disks: Disks | null;
  readonly options: DrillOptions;
  /** Next unused id; grows for the whole drill. */
  readonly ids: { next: number };
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

/** What one run of one fault found. */
export interface RunResult {
  /** Every insert that was tried. */
  readonly tried: readonly Tried[];
  readonly outage: Outage;
  readonly phases: Phases;
  readonly acked: number;
  readonly unknown: number;
  readonly dualAck: number;
  /** Acknowledged while nobody was there to acknowledge. */
  readonly unprotected: number;
  readonly dualWritableMs: number;
  readonly convergence: Convergence;
  readonly contents: Contents;
  readonly problems: readonly string[];
}

/** How long writes may stay away before the fault is healed all the same, and how much longer after that. */
const writesWithinMs = 30_000;

/** Writes, injects the fault, heals it, waits for the cluster to be whole, and judges everything that was written. */
export async function runOnce(fault: Fault, leader: string, context: RunContext): Promise<RunResult> {
  const { cluster, options, ids, signal, say } = context;
  const fromId = ids.next;
  const workload = makeWorkload(context);
  const course = await runCourse({
    workload,
    fault,
    inject: () => inject(fault, leader, workload, context),
    converge: () => waitUntilConverged(cluster, options.convergeMs, signal),
    timing: { writers: options.writers, calmMs: options.calmMs, writesWithinMs },
    signal,
    say,
  });
  const result = await judge({ ...course, fromId }, context);
  if (result.problems.length === 0) await letGo(cluster);
  return result;
}

/**
 * What the members keep of data that was replaced would fill the disk of a long drill: as its operator, the drill lets go of it when
 * nothing was found missing.
 */
async function letGo(cluster: LocalCluster): Promise<void> {
  await Promise.all(cluster.nodes.map((node) => node.api.removeKept().catch(() => 0)));
}

function makeWorkload({ cluster, password, options, ids }: RunContext): Workload {
  const { writers, everyMs, deadlineMs } = options;
  const nextId = (): number => {
    ids.next += 1;
    return ids.next - 1;
  };
  const network = networkTargets(cluster, password);
  const database = databaseFor(cluster);
  return new Workload({ database, network, local: socketTargets(cluster), writers, everyMs, deadlineMs, nextId });
}

async function inject(fault: Fault, leader: string, workload: Workload, context: RunContext): Promise<Injected> {
  const { cluster, disks, signal, say } = context;
  say(`${fault.name} on ${leader}`);
  const replicas = cluster.nodes.filter((node) => node.name !== leader);
  const flow = (sinceMs: number) => writesFlow(workload, sinceMs, writesWithinMs, context.signal);
  return fault.inject({ cluster, leader: cluster.node(leader), replicas, disks, signal, say, writesFlow: flow });
}

async function judge(course: Course & { readonly fromId: number }, context: RunContext): Promise<RunResult> {
  const { window, silence, convergence, history, fromId } = course;
  const { ops, samples, endMs } = history;
  const outage = outageOf(ops, window, endMs);
  const events = outage.span === null ? [] : await decisionsSince(context.cluster, window.fromMs);
  const dual = checkDualAck(ops);
  const contents = await contentsOf(convergence, context, history, fromId);
  const dualProblems = dual.slice(0, 5).map(({ kind, earlier, later }) => {
    const text = (op: typeof earlier): string => `id ${op.id} by ${op.node} on line ${op.timeline}`;
    return `two acknowledgers (${kind}): ${text(earlier)}, ${text(later)}`;
  });
  const unprotected = acknowledgedInSilence(ops, silence);
  const unprotectedProblems = unprotected
    .slice(0, 5)
    .map(({ id, node }) => `id ${id} was acknowledged by ${node} while no acknowledger was there`);
  const notWhole = convergence.kind === 'converged' ? [] : [`not whole ${convergence.why}`];
  return {
    tried: ops.map(({ id, outcome: ended }) => ({ id, outcome: ended })),
    outage,
    phases: outage.span === null ? nothingSeen : phasesOf(events, window.fromMs, outage.span),
    acked: ops.filter((op) => op.outcome === 'ok').length,
    unknown: ops.filter((op) => op.outcome === 'info').length,
    dualAck: dual.length,
    unprotected: unprotected.length,
    dualWritableMs: Math.round(dualWritableMs(samples)),
    convergence,
    contents,
    problems: [...notWhole, ...dualProblems, ...unprotectedProblems, ...contents.problems],
  };
}

/**
 * Compares all nodes. A cluster that did not come together while clients wrote is given the same time again without them: being behind is
 * one thing, having lost something another.
 */
async function contentsOf(
  underLoad: Convergence,
  { cluster, options, say, signal }: RunContext,
  { ops }: History,
  fromId: number,
): Promise<Contents> {
  let convergence = underLoad;
  if (convergence.kind === 'not-converged') {
    say('not whole while clients wrote; they have stopped: waiting once more, to compare the nodes');
    convergence = await waitUntilConverged(cluster, options.convergeMs, signal);
  }
  if (convergence.kind === 'not-converged') return notCompared;
  return verifyContents(cluster, convergence.leader, ops, fromId);
}
