import { parentPort, workerData } from 'node:worker_threads';
import { installMutant } from '../mutants/hook.ts';
import { mutantNamed } from '../mutants/mutants.ts';
import type { SeedShare } from './shares.ts';

/** One thread of a search: runs its share of the seeds and reports each. */
const share: SeedShare = workerData;
if (share.mutant !== null) installMutant(mutantNamed(share.mutant));
// Loaded only now, so that a mutant takes effect.
const { runShare } = await import('./run-share.ts');
runShare(share, (summary) => parentPort?.postMessage(summary));
