/** Keeps the agent's process small. It lives long, makes little garbage at a time, and shares its machine with a database. */

import { flushCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const SETTLED_MS = 8_000;

/**
 * What the C library should be told by whoever starts an agent: give freed blocks back to the system. Otherwise a replica keeps tens
 * of megabytes for good that it needed once, while copying. Read by the C library at the start of a process only.
 */
export const MEMORY_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '32768',
  MALLOC_TRIM_THRESHOLD_: '32768',
};

/**
 * To be called once at the start. Keeps V8's young generation from growing to 32 MB and more; collects the garbage of the start; and
 * writes down what was compiled now instead of at the end, because agents get killed: the next one starts faster and smaller.
 */
export function saveMemory(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  // Of so small a heap helpers collect nothing faster; waking them costs more.
  setFlagsFromString('--no-parallel-scavenge');
  setTimeout(() => {
    flushCompileCache();
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    if (typeof collect === 'function') collect();
  }, SETTLED_MS).unref();
}
