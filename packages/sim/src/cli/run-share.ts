import { drawScenario } from '../faults/swarm.ts';
import { runScenario } from '../run/run.ts';
import { type RunSummary, summarise } from '../run/summary.ts';
import type { SeedShare } from './shares.ts';

/** Runs the seeds of one share, one after the other. */
export function runShare(share: SeedShare, onRun: (summary: RunSummary) => void): void {
  for (let index = 0; index < share.count; index++) {
    const seed = share.firstSeed + index * share.step;
    const scenario = drawScenario(seed, share);
    onRun(summarise(runScenario(scenario, 'quiet')));
  }
}
