import { Deadline, pause, reasonOf } from '@understudy/base';
import { type ProcessLock, takeProcessLock } from '@understudy/base/process-lock';
import { ServersError } from './errors.ts';

/**
 * Runs `work` while holding a lock between processes.
 *
 * @param file made when it does not exist, and left there.
 * @param waitMs how long to wait for another holder.
 * @param onWait called once when there is one.
 * @throws ServersError `LOCK_TIMEOUT`, `CACHE_UNWRITABLE`, or whatever `work` throws.
 */
export async function withLock<T>(
  file: string,
  waitMs: number,
  onWait: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await take(file, waitMs, onWait);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

async function take(file: string, waitMs: number, onWait: () => void): Promise<ProcessLock> {
  const deadline = new Deadline(waitMs);
  for (let attempt = 0; ; attempt += 1) {
    const lock = tryOnce(file);
    if (lock !== null) return lock;
    if (attempt === 0) onWait();
    if (deadline.hasPassed) {
      const text = `Another process has held ${file} for ${waitMs / 1000} s.`;
      throw new ServersError('LOCK_TIMEOUT', text, { next: 'Wait for it or end it, then try again.' });
    }
    await pause(100 + Math.random() * 200);
  }
}

function tryOnce(file: string): ProcessLock | null {
  try {
    return takeProcessLock(file);
  } catch (cause) {
    const next = 'Set UNDERSTUDY_CACHE to a folder of your own.';
    throw new ServersError('CACHE_UNWRITABLE', `Could not lock ${file}: ${reasonOf(cause)}.`, { next, cause });
  }
}
