import { addMs, type Ms } from '../brands.ts';
import { monotonicMs } from './clock.ts';

/** An instant by which something has to end. */
export class Deadline {
  /** The whole time that was given, in ms. */
  readonly totalMs: number;
  readonly #end: Ms;

  /**
   * @param totalMs from now; what is left of another deadline may be nothing or less
   * @throws RangeError when it is infinite or not a number
   */
  constructor(totalMs: number) {
    if (!Number.isFinite(totalMs)) throw new RangeError(`a deadline of ${totalMs} ms`);
    this.totalMs = totalMs;
    this.#end = addMs(monotonicMs(), totalMs);
  }

  /** Never negative. */
  get remainingMs(): number {
    return Math.max(0, this.#end - monotonicMs());
  }

  get hasPassed(): boolean {
    return monotonicMs() >= this.#end;
  }
}

/**
 * `work`, or a rejection with what `makeError` makes when it has not settled after `timeoutMs`. The work itself goes on, and nobody
 * waits for it any more: its later failure is ignored.
 */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number, makeError: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    // Not at once: when this process itself stood still, the answer may lie in the socket, and is read before the check phase.
    timer = setTimeout(() => setImmediate(() => reject(makeError())), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
