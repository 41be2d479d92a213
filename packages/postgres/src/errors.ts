import { EngineError, type EngineErrorCode } from '@understudy/engine';
import { codeOf } from '@understudy/engine/host';

/** The text of anything that was thrown, for use inside another message. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

const diskFullCodes = new Set(['ENOSPC', 'EDQUOT', '53100']);

/** Whether the disk (or a quota) is full. */
export function isDiskFull(error: unknown): boolean {
  return diskFullCodes.has(codeOf(error) ?? '') || /no space left on device/i.test(reasonOf(error));
}

/**
 * Makes an `EngineError` of anything thrown: passes one through, names a full disk as such, wraps the rest.
 *
 * @param doing what failed, as the beginning of a sentence ("Copying the database from n2").
 */
export function engineError(
  code: EngineErrorCode,
  doing: string,
  error: unknown,
  retry: EngineError['retry'] = 'unknown',
) {
  if (error instanceof EngineError) return error;
  if (isDiskFull(error)) {
    const text = `${doing} failed: the disk is full (${reasonOf(error)}). Make room on that disk; it is tried again then.`;
    return new EngineError('ENGINE_DISK_FULL', text, 'safe', { cause: error });
  }
  return new EngineError(code, `${doing} failed: ${reasonOf(error)}.`, retry, { cause: error });
}
