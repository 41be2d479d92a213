import type { LocalCluster } from '@understudy/local';
import { checkDualAck } from '../check/dual-ack.ts';
import { dualWritableMs } from '../check/dual-writable.ts';
import { type Outage, outageOf } from '../check/outage.ts';
import { nothingSeen, type Phases, phasesOf } from '../check/phases.ts';
import type { Tried } from '../check/set.ts';
import { acknowledgedInSilence } from '../check/silence.ts';
import { databaseFor } from '../database/index.ts';
import { DrillError } from '../errors.ts';
import type { Fault, Injected, Silence } from '../faults/fault.ts';
import type { DrillOptions } from '../options.ts';
import { nowMs, pause, pollUntil } from '../time.ts';
import { type History, Workload } from '../workload/workload.ts';
import { type Convergence, waitUntilConverged } from './converge.ts';
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

const warmUpMs = 15_000;
/** How long writes may stay away before the fault is healed all the same, and how much longer after that. */
const writesWithinMs = 30_000;

/** Writes, injects the fault, heals it, waits for the cluster to be whole, and judges everything that was written. */
export async function runOnce(fault: Fault, leader: string, context: RunContext): Promise<RunResult> {
  const { cluster, ids, signal } = context;
  const fromId = ids.next;
  const workload = makeWorkload(context);
  const startedMs = nowMs();
  workload.start();
  let injected: Injected | null = null;
  let healedMs = startedMs;
  let convergence: Convergence = { kind: 'not-converged', why: 'the fault was not injected' };
  let history: History;
  try {
    await warmUp(workload, context);
    injected = await inject(fault, leader, workload, context);
    await hold(fault, injected, workload, context);
    await injected.heal();
    healedMs = nowMs();
    context.say('healed; waiting until the cluster is whole');
    await writesFlow(workload, healedMs, writesWithinMs, context.signal);
    convergence = await waitUntilConverged(cluster, context.options.convergeMs, signal);
  } finally {
    await injected?.heal();
    history = await workload.stop();
  }
  const window = { fromMs: injected.atMs, toMs: healedMs };
  const silence = injected.silence?.() ?? null;
  const result = await judge({ window, silence, convergence, fromId }, history, context);
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

/** The calm before the fault: writes that flow for a while. */
async function warmUp(workload: Workload, { options, signal, say }: RunContext): Promise<void> {
  say('writing');
  const enough = options.writers * 2;
  const startedMs = nowMs();
  const flowing = await pollUntil(() => (workload.acknowledgedSince(startedMs) >= enough ? true : null), {
    everyMs: 20,
    timeoutMs: warmUpMs,
    signal,
  });
  if (flowing === null) throw new DrillError('SETUP_FAILED', `Writes did not get going within ${warmUpMs / 1000} s.`);
  await pause(options.calmMs, signal);
}

async function inject(fault: Fault, leader: string, workload: Workload, context: RunContext): Promise<Injected> {
  const { cluster, disks, signal, say } = context;
  say(`${fault.name} on ${leader}`);
  const replicas = cluster.nodes.filter((node) => node.name !== leader);
  const flow = (sinceMs: number) => writesFlow(workload, sinceMs, writesWithinMs, context.signal);
  return fault.inject({ cluster, leader: cluster.node(leader), replicas, disks, signal, say, writesFlow: flow });
}

/** Leaves the fault in place as long as it is meant to stay, and until writes go on in spite of it. */
async function hold(fault: Fault, injected: Injected, workload: Workload, context: RunContext): Promise<void> {
  if (fault.writes === 'go-on') await writesFlow(workload, injected.atMs, writesWithinMs, context.signal);
  await pause(fault.holdMs - (nowMs() - injected.atMs), context.signal);
}

/** What is known of a run besides its history. */
interface Course {
  readonly window: { readonly fromMs: number; readonly toMs: number };
  readonly silence: Silence | null;
  readonly convergence: Convergence;
  readonly fromId: number;
}

async function judge(course: Course, history: History, context: RunContext): Promise<RunResult> {
  const { window, silence, convergence, fromId } = course;
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
