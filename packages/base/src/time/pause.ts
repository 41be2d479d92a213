import { throwIfInterrupted } from './interrupt.ts';

/** Waits, at most until the signal is given. Always resolves: look at the signal afterwards. */
export function pause(durationMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, durationMs);
    signal?.addEventListener('abort', finish, { once: true });
  });
}

/** Waits. @throws InterruptedError as soon as the signal is given */
export async function pauseUnlessInterrupted(durationMs: number, signal: AbortSignal): Promise<void> {
  await pause(durationMs, signal);
  throwIfInterrupted(signal);
}
