import { Worker } from 'node:worker_threads';
import type { FaultKind } from '../faults/fault.ts';
import type { FaultCourse } from '../faults/swarm.ts';
import type { RunSummary } from '../run/summary.ts';
import type { Flavour } from '../server/flavour.ts';

/** The seeds that one thread runs: every `step`-th from `firstSeed`, `count` in all. */
export interface SeedShare {
  readonly firstSeed: number;
  readonly step: number;
  readonly count: number;
  readonly flavour: Flavour | null;
  readonly nodes: number | null;
  readonly durationMs: number;
  readonly durability: 'sync' | 'async' | null;
  readonly faults: readonly FaultKind[] | null;
  readonly course: FaultCourse | null;
  readonly mutant: string | null;
}

/** Nearly everything that a simulation makes is soon forgotten: room for it saves a tenth of the time. */
const YOUNG_MB = 64;

export interface Search {
  readonly firstSeed: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly flavour: Flavour | null;
  readonly nodes: number | null;
  readonly durationMs: number;
  readonly durability: 'sync' | 'async' | null;
  readonly faults: readonly FaultKind[] | null;
  readonly course: FaultCourse | null;
  readonly mutant: string | null;
  readonly stopAtFirst: 'yes' | 'no';
  readonly onRun: (summary: RunSummary) => void;
}

/** Runs a range of seeds in threads. Resolves with every run, in the order of the seeds; rejects when a thread breaks. */
export async function runSeeds(search: Search): Promise<readonly RunSummary[]> {
  const runs: RunSummary[] = [];
  const workers: Worker[] = [];
  const stopAll = (): void => {
    for (const worker of workers) void worker.terminate();
  };
  const note = (summary: RunSummary): void => {
    runs.push(summary);
    search.onRun(summary);
    if (summary.violation !== null && search.stopAtFirst === 'yes') stopAll();
  };
  const threads = Array.from({ length: search.jobs }, (_, index) => {
    const count = Math.ceil((search.seeds - index) / search.jobs);
    const { firstSeed, seeds: _seeds, jobs, onRun: _onRun, stopAtFirst: _stop, ...shared } = search;
    const workerData: SeedShare = { ...shared, firstSeed: firstSeed + index, step: jobs, count };
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    workers.push(worker);
    return new Promise<void>((resolve, reject) => {
      worker.on('message', note);
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  });
  try {
    await Promise.all(threads);
  } finally {
    stopAll();
  }
  return runs.sort((a, b) => a.seed - b.seed);
}
