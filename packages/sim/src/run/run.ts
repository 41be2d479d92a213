import type { Violation } from '../checks/checks.ts';
import type { FaultKind } from '../faults/fault.ts';
import { Injector } from '../faults/inject.ts';
import { randomFor } from '../time/random.ts';
import { Workload } from '../workload/workload.ts';
import { hangLeader, leaveAgentMute, letNobodyReplicate, loseLeaderBesideBroken } from './gray-hosts.ts';
import { loseOneHost } from './host-loss.ts';
import { switchOver } from './planned-switchover.ts';
import type { Scenario } from './scenario.ts';
import { type Settled, settledProblem } from './settled.ts';
import { loseAgentThenLeader } from './silent-acker.ts';
import type { TraceLine } from './trace.ts';
import { loseTwoHosts } from './two-hosts.ts';
import { World } from './world.ts';

export interface RunResult {
  readonly scenario: Scenario;
  readonly violations: readonly Violation[];
  readonly simulatedMs: number;
  readonly events: number;
  readonly decisions: number;
  readonly failovers: number;
  /** Those until everything was healed: the loss of a host at the end is not in it. */
  readonly failoversUnderFaults: number;
  readonly writesTried: number;
  readonly acks: number;
  readonly staleOpens: number;
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** How long after the healing every node replicated from one primary. */
  readonly settledAfterMs: number | null;
  readonly trace: readonly TraceLine[];
}

/** So many events in so short a time are more than any healthy shell makes. */
const LIVELOCK_EVENTS = 20_000;
const LIVELOCK_MS = 1000;
const LOOK_EVERY_MS = 250;
const AFTERMATH_MS = 12_000;

/**
 * Runs one scenario: first faults strike while every event is checked (safety), then everything is healed and the cluster must
 * settle within its time (liveness), then it must stay as it is (no failover without a fault), and survive the loss of one host.
 */
export function runScenario(scenario: Scenario, trace: 'trace' | 'quiet'): RunResult {
  const world = new World(scenario, trace);
  const workload = new Workload(world);
  const injector = new Injector(world, () => workload.stir());
  world.begin();
  workload.start();
  injector.plan(scenario.faults);
  runUntil(world, scenario.durationMs);
  const failoversUnderFaults = world.counts.failovers;
  let settledAfterMs: number | null = null;
  if (world.checks.violations.length === 0) {
    injector.heal();
    if (world.trace.on) world.trace.note('fault', 'everything is healed');
    settledAfterMs = settle(world);
    if (settledAfterMs !== null) idle(world);
    if (world.checks.violations.length === 0) endWithLosses(world);
  }
  workload.stop();
  return {
    scenario,
    violations: world.checks.violations,
    simulatedMs: world.scheduler.now,
    events: world.scheduler.events,
    decisions: world.counts.decisions,
    failovers: world.counts.failovers,
    failoversUnderFaults,
    writesTried: workload.counts.tried,
    acks: world.checks.counts.acked,
    staleOpens: world.checks.counts.staleOpens,
    faults: injector.struck,
    settledAfterMs,
    trace: world.trace.lines,
  };
}

const ENDINGS = [
  loseOneHost,
  loseOneHost,
  loseAgentThenLeader,
  letNobodyReplicate,
  hangLeader,
  loseLeaderBesideBroken,
] as const;

/** What a settled cluster has to survive; drawn apart, so that one seed means the same faults before it. */
function endWithLosses(world: World): void {
  const { seed, nodes } = world.scenario;
  const ending =
    nodes >= 3 ? randomFor(seed, 'ending').pick(nodes >= 5 ? [...ENDINGS, loseTwoHosts] : ENDINGS) : loseOneHost;
  // Drawn apart, so that the endings of all other seeds stay what they were.
  const isMute = ending === loseOneHost && randomFor(seed, 'mute agent').chance(0.3);
  if (ending === loseOneHost && randomFor(seed, 'planned switchover').chance(0.4)) {
    switchOver(world, (atMs) => runUntil(world, atMs));
  }
  if (world.checks.violations.length > 0) return;
  (isMute ? leaveAgentMute : ending)(world, (atMs) => runUntil(world, atMs));
}

/** Runs events until `until`, or until something is wrong. */
function runUntil(world: World, until: number): void {
  const { scheduler, checks } = world;
  const { violations } = checks;
  let lookAt = scheduler.events + LIVELOCK_EVENTS;
  let lookedAtMs = scheduler.now;
  while (violations.length === 0 && scheduler.step(until)) {
    if (scheduler.events < lookAt) continue;
    if (scheduler.now - lookedAtMs < LIVELOCK_MS) {
      checks.fail(
        'livelock',
        `${LIVELOCK_EVENTS} events in ${scheduler.now - lookedAtMs} ms: something turns in circles.`,
      );
    }
    lookAt = scheduler.events + LIVELOCK_EVENTS;
    lookedAtMs = scheduler.now;
  }
}

function settle(world: World): number | null {
  const { scheduler, scenario, checks } = world;
  const healedAt = scheduler.now;
  const watch: Settled = { ackedAtHealing: checks.counts.acked };
  let problem: string | null = 'not looked yet';
  let wellSince: number | null = null;
  let epoch = world.record?.epoch;
  while (scheduler.now < healedAt + scenario.settleMs) {
    runUntil(world, scheduler.now + LOOK_EVERY_MS);
    if (checks.violations.length > 0) return null;
    problem = settledProblem(world, watch);
    const same = epoch === world.record?.epoch;
    epoch = world.record?.epoch;
    if (problem !== null || !same) wellSince = null;
    else wellSince ??= scheduler.now;
    // What the last faults set going (a deadline that runs out, an agent that is replaced) is over by then.
    if (wellSince !== null && scheduler.now - wellSince >= AFTERMATH_MS) return wellSince - healedAt;
  }
  checks.fail('not-settled', `${scenario.settleMs} ms after everything was healed: ${problem}`);
  return null;
}

function idle(world: World): void {
  const { scheduler, scenario, checks } = world;
  const before = world.record?.epoch;
  runUntil(world, scheduler.now + scenario.idleMs);
  if (checks.violations.length > 0) return;
  const after = world.record?.epoch;
  if (before !== after) {
    checks.fail('restless', `The epoch went from ${before} to ${after} in a healthy, settled cluster.`);
    return;
  }
  const problem = settledProblem(world, { ackedAtHealing: -1 });
  if (problem !== null) checks.fail('restless', `The settled cluster fell apart without a fault: ${problem}`);
}
