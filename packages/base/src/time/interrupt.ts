import { defineErrors } from '../errors.ts';

/** The error of waits whose signal was given. */
export const InterruptedError = defineErrors('InterruptedError', {
  INTERRUPTED: { meaning: 'The caller interrupted the operation.', retry: 'safe', next: '' },
});
export type InterruptedError = InstanceType<typeof InterruptedError>;

/** @throws InterruptedError when the signal was given; its cause is the signal's reason */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new InterruptedError('INTERRUPTED', 'Interrupted.', { cause: signal.reason });
}
