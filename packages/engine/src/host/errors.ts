import { codeOf, type Retry, reasonOf } from '@understudy/base';
import { EngineError, type EngineErrorCode } from '../index.ts';

/**
 * Whether a code is an SQLSTATE, so that it is the server that spoke: five digits or capital letters, a digit among them. `EPIPE` and
 * `EPERM` of the system have five letters too.
 */
export function isSqlState(code: string | null | undefined): code is string {
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code);
}

const fullDiskCodes = new Set(['ENOSPC', 'EDQUOT', '53100']);
const fullDisk = /no space left on device|disk (is )?full|errno: 28\b|os error 28\b/i;

/** Whether a failure was a full disk (or quota), by the system's code, PostgreSQL's, or the words of a program. */
export function isDiskFull(error: unknown): boolean {
  return fullDiskCodes.has(codeOf(error) ?? '') || fullDisk.test(reasonOf(error));
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
  retry: Retry = 'unknown',
): EngineError {
  if (error instanceof EngineError) return error;
  if (isReadOnlyDisk(error)) {
    const next = 'Mount it for writing (the log of the kernel says why it was mounted so); it is tried again then.';
    const text = `${doing} failed because the file system is read-only (${reasonOf(error)}).`;
    return new EngineError('ENGINE_DATA_REFUSED', text, { retry: 'safe', next, cause: error });
  }
  if (!isDiskFull(error)) return new EngineError(code, `${doing} failed: ${reasonOf(error)}.`, { retry, cause: error });
  const next = 'Make room on that disk; it is tried again then.';
  const text = `${doing} failed because the disk is full (${reasonOf(error)}).`;
  return new EngineError('ENGINE_DISK_FULL', text, { next, cause: error });
}
