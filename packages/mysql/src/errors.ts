import { EngineError, type EngineErrorCode } from '@understudy/engine';
import { codeOf } from '@understudy/engine/host';

/** What anything that was thrown says, for use inside another message. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** The number of a server's error (1045, …), also through the `EngineError` that carries it; undefined when no server answered. */
export function serverErrorOf(error: unknown): number | undefined {
  const inner = error instanceof EngineError ? error.cause : error;
  if (!(inner instanceof Error) || !('errno' in inner)) return undefined;
  // System errors have negative numbers, and those of the client library begin at 2000.
  const { errno } = inner;
  return typeof errno === 'number' && errno >= 1000 ? errno : undefined;
}

const fullDisk = /no space left on device|disk (is )?full|errno: 28\b|os error 28\b/i;

/** Whether a failure was a full disk (or quota). */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(codeOf(error) ?? '') || fullDisk.test(reasonOf(error));
}

const readOnlyDisk = /read-only file system|errno: 30\b|os error 30\b/i;

/** Whether a failure was a file system that nobody can write to. */
export function isReadOnlyDisk(error: unknown): boolean {
  return codeOf(error) === 'EROFS' || readOnlyDisk.test(reasonOf(error));
}

/**
 * Makes an `EngineError` of anything: one is passed through, a full disk and a read-only one are named as such, the rest is wrapped.
 *
 * @param doing what failed, as the beginning of a sentence ("Copying the database from n2").
 */
export function engineError(
  code: EngineErrorCode,
  doing: string,
  error: unknown,
  retry: EngineError['retry'] = 'unknown',
): EngineError {
  if (error instanceof EngineError) return error;
  if (isReadOnlyDisk(error)) {
    const next = 'Mount it for writing (the log of the kernel says why it was mounted so); it is tried again then.';
    const text = `${doing} failed because the file system is read-only (${reasonOf(error)}). ${next}`;
    return new EngineError('ENGINE_DATA_REFUSED', text, 'safe', { cause: error });
  }
  if (!isDiskFull(error)) return new EngineError(code, `${doing} failed: ${reasonOf(error)}.`, retry, { cause: error });
  const next = 'Make room on that disk; it is tried again then.';
  const text = `${doing} failed because the disk is full (${reasonOf(error)}). ${next}`;
  return new EngineError('ENGINE_DISK_FULL', text, 'safe', { cause: error });
}
