/** Staggered attempts at something that may be done more than once: the first success wins. */

import type { Failure } from './failure.ts';

export type Outcome<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'failed'; readonly failure: Failure };

export type Start<T> = (signal: AbortSignal) => Promise<Outcome<T>>;

export type RaceResult<T> =
  | { readonly kind: 'won'; readonly value: T; readonly index: number }
  | { readonly kind: 'lost'; readonly failures: readonly Failure[] };

/**
 * Starts the first attempt, and the next one whenever the last one failed or has been silent for `staggerMs`.
 * The first value ends the race and aborts the others; a failure that no other endpoint can help ends it too.
 * `signal` aborts all. The attempts must not reject.
 */
export function race<T>(starts: readonly Start<T>[], staggerMs: number, signal: AbortSignal): Promise<RaceResult<T>> {
  return new Promise((resolve) => {
    const controller = new AbortController();
    const failures: Failure[] = [];
    let next = 0;
    let running = 0;
    let timer: NodeJS.Timeout | undefined;

    const abort = () => controller.abort();
    const finish = (result: RaceResult<T>) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      resolve(result);
      controller.abort();
    };
    const launch = () => {
      clearTimeout(timer);
      const index = next;
      const start = starts[index];
      if (start === undefined || (index > 0 && controller.signal.aborted)) return;
      next += 1;
      running += 1;
      timer = setTimeout(launch, staggerMs);
      void start(controller.signal).then((outcome) => {
        running -= 1;
        if (outcome.kind === 'value') {
          finish({ kind: 'won', value: outcome.value, index });
          return;
        }
        failures.push(outcome.failure);
        const isOver = next >= starts.length || controller.signal.aborted;
        if (outcome.failure.helps !== 'endpoint' || (running === 0 && isOver)) finish({ kind: 'lost', failures });
        else if (!isOver) launch();
      });
    };

    if (signal.aborted) controller.abort();
    else signal.addEventListener('abort', abort, { once: true });
    launch();
  });
}
