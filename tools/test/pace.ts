import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What starting Node takes on an ordinary machine with nothing else to do, in ms. */
const usualStartMs = 60;
const starts = 5;
/** Beyond this it is no slow machine but a broken one. */
const slownessMax = 6;

/** How much of each thing a run may have. */
export interface Pace {
  /** 1: an ordinary machine, or a faster one; 2: everything takes twice as long. */
  readonly slowness: number;
  readonly jobs: number;
  readonly timeoutMs: number;
}

/** @param startsMs what starting Node took, several times: the middle one counts */
export function paceOf(
  startsMs: readonly number[],
  wanted: { readonly jobs: number; readonly timeoutMs: number },
): Pace {
  const middleMs = startsMs.toSorted((a, b) => a - b)[Math.floor(startsMs.length / 2)] ?? usualStartMs;
  const slowness = Math.min(slownessMax, Math.max(1, middleMs / usualStartMs));
  return {
    slowness,
    // Two at once keep a core busy while the other waits: one alone would not end in the time that a slow machine has.
    jobs: Math.max(Math.min(2, wanted.jobs), Math.round(wanted.jobs / slowness)),
    timeoutMs: Math.round(wanted.timeoutMs * slowness),
  };
}

/** Starts Node a few times, one after the other, as every test file does: that takes processor, memory and disk. */
export async function measureStarts(): Promise<readonly number[]> {
  const tookMs: number[] = [];
  for (let index = 0; index < starts; index++) {
    const startedMs = performance.now();
    await promisify(execFile)(process.execPath, ['--eval', '0']);
    tookMs.push(performance.now() - startedMs);
  }
  return tookMs;
}
