import { monotonicMs, reasonOf } from '@understudy/base';
import { PairError } from '../errors.ts';

/** One step of a procedure. `undo` is run when a later step fails; null: from here on there is no way back. */
export interface Step {
  readonly text: string;
  readonly run: (leftMs: number) => Promise<void>;
  readonly undo: (() => Promise<void>) | null;
}

/**
 * Runs steps one after the other, all within one deadline. When one fails, those before it are undone, the last one first; after a step without
 * a way back nothing is undone, and the error says so.
 *
 * @param tell called with each step before it is run. @param after what to do when it is too late to undo.
 * @throws PairError `OFFSET_UNDONE`, `OFFSET_FAILED`.
 */
export async function runSteps(
  steps: readonly Step[],
  timeoutMs: number,
  tell: (text: string) => void,
  after: () => string,
): Promise<void> {
  const endMs = monotonicMs() + timeoutMs;
  const undos: (() => Promise<void>)[] = [];
  let way: 'back' | 'on' = 'back';
  for (const step of steps) {
    tell(step.text);
    if (step.undo !== null && way === 'back') undos.unshift(step.undo);
    try {
      const leftMs = endMs - monotonicMs();
      if (leftMs <= 0 && way === 'back') throw new Error(`the time (${timeoutMs / 1000} s) was over.`);
      await step.run(Math.max(1000, leftMs));
    } catch (error) {
      if (way === 'on')
        throw new PairError('OFFSET_FAILED', `"${step.text}" failed: ${reasonOf(error)} ${after()}`, { cause: error });
      throw await undone(step, error, undos);
    }
    if (step.undo === null) way = 'on';
  }
}

async function undone(step: Step, error: unknown, undos: readonly (() => Promise<void>)[]): Promise<PairError> {
  const failures: string[] = [];
  for (const undo of undos) await undo().catch((failure: unknown) => void failures.push(reasonOf(failure)));
  const cause = `"${step.text}" failed: ${reasonOf(error)}`;
  if (failures.length === 0) {
    return new PairError('OFFSET_UNDONE', cause, {
      next: 'Everything is as it was before; correct the cause and try again.',
      cause: error,
    });
  }
  const text = `${cause} Undoing it failed too: ${failures.join('; ')}`;
  const next = 'Look at both servers now: understudy offset status';
  return new PairError('OFFSET_FAILED', text, { next, cause: error });
}
