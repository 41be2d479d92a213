import { defineErrors, UnderstudyError } from '../errors.ts';

/** The error of waits whose signal was given. */
export const InterruptedError = defineErrors('InterruptedError', {
  INTERRUPTED: { meaning: 'The caller interrupted the operation.', retry: 'safe', next: '' },
});
export type InterruptedError = InstanceType<typeof InterruptedError>;

/**
 * @throws InterruptedError when the signal was given, with the signal's reason as its cause; the reason itself when it is an error of ours:
 * who gives the signal then says more
 */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  if (signal.reason instanceof UnderstudyError) throw signal.reason;
  throw new InterruptedError('INTERRUPTED', 'Interrupted.', { cause: signal.reason });
}
