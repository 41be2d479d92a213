import type { Instance } from '../instance.ts';

/** A checkpoint writes every dirty buffer; with much memory and a slow disk that takes minutes. */
const timeoutMs = 3600_000;

/** Writes all dirty pages, so that the control file and the next recovery begin at the present timeline. */
export async function checkpoint(instance: Instance, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await instance.sql.fresh(5000, (session) => session.rows('checkpoint', timeoutMs), 'ordinary');
}
