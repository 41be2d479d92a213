import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf, ServersError } from './errors.ts';

/**
 * Runs `work` while holding a lock between processes. The lock is an exclusive SQLite transaction, so the operating system
 * releases it when the holder dies in whatever way: there are no stale locks to detect.
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
  const database = openLock(file);
  try {
    await acquire(database, file, waitMs, onWait);
    return await work();
  } finally {
    database.close();
  }
}

function openLock(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { timeout: 0 });
  } catch (error) {
    const text = `Could not open the lock ${file}: ${reasonOf(error)}. Set UNDERSTUDY_CACHE to a folder of your own.`;
    throw new ServersError('CACHE_UNWRITABLE', text, 'unsafe', error);
  }
}

async function acquire(database: DatabaseSync, file: string, waitMs: number, onWait: () => void): Promise<void> {
  const deadlineMs = performance.now() + waitMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      database.exec('BEGIN EXCLUSIVE');
      return;
    } catch (error) {
      if (!/locked|busy/.test(reasonOf(error))) {
        const text = `Could not lock ${file}: ${reasonOf(error)}. Set UNDERSTUDY_CACHE to a folder of your own.`;
        throw new ServersError('CACHE_UNWRITABLE', text, 'unsafe', error);
      }
      if (attempt === 0) onWait();
      if (performance.now() > deadlineMs) {
        const text = `Another process has held ${file} for ${waitMs / 1000} s. Wait for it or end it, then try again.`;
        throw new ServersError('LOCK_TIMEOUT', text, 'safe', error);
      }
      await delay(100 + Math.random() * 200);
    }
  }
}
