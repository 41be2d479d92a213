import type { Fault } from '../faults/fault.ts';
import type { Scenario } from './scenario.ts';

/** Whether a scenario still fails in the way that is being looked for. */
export type Fails = (scenario: Scenario) => boolean;

const RUNS_MAX = 600;
const SHORTEST_MS = 50;

/**
 * Makes a failing scenario smaller while it fails in the same way, with the seed kept: first the list of faults (delta debugging), then
 * their durations, then the number of nodes, then the length of the run. Ends after a fixed number of runs with the best found.
 */
export function shrink(scenario: Scenario, fails: Fails): Scenario {
  let runs = 0;
  const still: Fails = (candidate) => {
    runs += 1;
    return runs <= RUNS_MAX && fails(candidate);
  };
  let best = scenario;
  for (let round = 0; round < 3; round++) {
    const before = best;
    best = fewerNodes(shorterFaults(fewerFaults(best, still), still), still);
    best = shorterRun(best, still);
    if (best === before || runs > RUNS_MAX) break;
  }
  return best;
}

/** ddmin: drops ever smaller slices of the list of faults. */
function fewerFaults(scenario: Scenario, still: Fails): Scenario {
  let best = scenario;
  let slices = 2;
  while (best.faults.length > 0) {
    const size = Math.max(1, Math.ceil(best.faults.length / slices));
    const smaller = withoutOneSlice(best, size, still);
    if (smaller !== null) {
      best = smaller;
      slices = Math.max(2, slices - 1);
    } else if (size === 1) break;
    else slices *= 2;
  }
  return best;
}

function withoutOneSlice(scenario: Scenario, size: number, still: Fails): Scenario | null {
  for (let from = 0; from < scenario.faults.length; from += size) {
    const faults = scenario.faults.filter((_, index) => index < from || index >= from + size);
    const candidate = { ...scenario, faults };
    if (still(candidate)) return candidate;
  }
  return null;
}

function shorterFaults(scenario: Scenario, still: Fails): Scenario {
  let best = scenario;
  for (const index of scenario.faults.keys()) {
    for (;;) {
      const fault = best.faults[index];
      if (fault === undefined || !('forMs' in fault) || fault.forMs < 2 * SHORTEST_MS) break;
      const candidate = withFault(best, index, { ...fault, forMs: Math.round(fault.forMs / 2) });
      if (!still(candidate)) break;
      best = candidate;
    }
  }
  return best;
}

function withFault(scenario: Scenario, index: number, fault: Fault): Scenario {
  return { ...scenario, faults: scenario.faults.map((each, at) => (at === index ? fault : each)) };
}

function fewerNodes(scenario: Scenario, still: Fails): Scenario {
  let best = scenario;
  while (best.nodes > 2) {
    const nodes = best.nodes - 1;
    const candidate = {
      ...best,
      nodes,
      tags: best.tags.slice(0, nodes),
      clocks: best.clocks.slice(0, nodes),
      bootDelaysMs: best.bootDelaysMs.slice(0, nodes),
    };
    if (!still(candidate)) break;
    best = candidate;
  }
  return best;
}

/** Ends the run soon after its last fault. */
function shorterRun(scenario: Scenario, still: Fails): Scenario {
  let best = scenario;
  while (best.durationMs > 1000) {
    const durationMs = Math.ceil(best.durationMs / 2);
    const candidate = { ...best, durationMs, faults: best.faults.filter((fault) => fault.at < durationMs) };
    if (!still(candidate)) break;
    best = candidate;
  }
  return best;
}
