/** Errors of the drill: one table of codes, which is also their documentation. */

export const DRILL_ERROR_CODES = {
  OPTION_INVALID: 'An option of the drill is wrong. The message names it and what it may be.',
  SETUP_FAILED: 'The tables of the drill could not be made, or nothing could be written before the first fault.',
  FAULT_FAILED: 'A fault could not be injected or healed.',
  INTERRUPTED: 'The drill was interrupted.',
} as const;

export type DrillErrorCode = keyof typeof DRILL_ERROR_CODES;

/** The error of this package. `message` says cause and next step. */
export class DrillError extends Error {
  override readonly name = 'DrillError';
  readonly code: DrillErrorCode;
  readonly retry: 'safe' | 'unsafe' | 'unknown';

  constructor(code: DrillErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.retry = code === 'OPTION_INVALID' ? 'unsafe' : 'safe';
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
