import { monotonicMs, pauseUnlessInterrupted, pollUntil } from '@understudy/base';
import { DrillError } from '../errors.ts';
import type { Fault, Injected, Silence } from '../faults/fault.ts';
import type { History, Workload } from '../workload/workload.ts';
import type { Convergence } from './converge.ts';
import { writesFlow } from './writes-flow.ts';

export interface CourseOptions {
  readonly workload: Workload;
  readonly fault: Pick<Fault, 'holdMs' | 'writes'>;
  readonly inject: () => Promise<Injected>;
  /** Waits until whatever keeps the database available is whole again. */
  readonly converge: () => Promise<Convergence>;
  readonly timing: {
    readonly writers: number;
    /** Writes before the fault. */
    readonly calmMs: number;
    /** How long writes may stay away before the fault is healed all the same, and how much longer after that. */
    readonly writesWithinMs: number;
  };
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

/** What happened in a run, before anything is judged. */
export interface Course {
  /** From the fault to its healing, on the drill's clock. */
  readonly window: { readonly fromMs: number; readonly toMs: number };
  readonly silence: Silence | null;
  readonly convergence: Convergence;
  readonly history: History;
}

const warmUpMs = 15_000;

/**
 * Writes, injects a fault, heals it and waits for the cluster to be whole. The same for every cluster that is measured, whoever keeps it
 * available: that is what makes their figures comparable.
 *
 * @throws DrillError `SETUP_FAILED` when nothing can be written before the fault, `INTERRUPTED`; whatever `inject` and `heal` throw.
 */
export async function runCourse(options: CourseOptions): Promise<Course> {
  const { workload, timing, signal, say } = options;
  workload.start();
  let injected: Injected | null = null;
  let healedMs = monotonicMs();
  let convergence: Convergence = { kind: 'not-converged', why: 'the fault was not injected' };
  let history: History;
  try {
    await warmUp(options);
    injected = await options.inject();
    await hold(injected, options);
    await injected.heal();
    healedMs = monotonicMs();
    say('healed; waiting until the cluster is whole');
    await writesFlow(workload, healedMs, timing.writesWithinMs, signal);
    convergence = await options.converge();
  } finally {
    await injected?.heal();
    history = await workload.stop();
  }
  const window = { fromMs: injected.atMs, toMs: healedMs };
  return { window, silence: injected.silence?.() ?? null, convergence, history };
}

/** The calm before the fault: writes that flow for a while. */
async function warmUp({ workload, timing, signal, say }: CourseOptions): Promise<void> {
  say('writing');
  const enough = timing.writers * 2;
  const startedMs = monotonicMs();
  const flowing = await pollUntil(() => (workload.acknowledgedSince(startedMs) >= enough ? true : null), {
    everyMs: 20,
    timeoutMs: warmUpMs,
    signal,
  });
  if (flowing === null) throw new DrillError('SETUP_FAILED', `Writes did not get going within ${warmUpMs / 1000} s.`);
  await pauseUnlessInterrupted(timing.calmMs, signal);
}

/** Leaves the fault in place as long as it is meant to stay, and until writes go on in spite of it. */
async function hold(injected: Injected, { workload, fault, timing, signal }: CourseOptions): Promise<void> {
  if (fault.writes === 'go-on') await writesFlow(workload, injected.atMs, timing.writesWithinMs, signal);
  await pauseUnlessInterrupted(fault.holdMs - (monotonicMs() - injected.atMs), signal);
}
