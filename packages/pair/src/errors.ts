/** Every error of this package, by code, with what it means. */
export const pairErrorCodes = {
  PAIR_REFUSED: 'The pair refused the request and says why. Nothing was changed.',
  PAIR_UNDONE: 'A change did not succeed within its deadline and was undone; the message says what is true now.',
  PAIR_FAILED: 'A change was begun and could not be ended or undone; the message says what is true now.',
  PAIR_NOT_RUNNING: 'No process runs this pair now.',
  PAIR_STATE_INVALID: "The pair's file cannot be read, or contradicts what was asked for.",
  PAIR_START_FAILED: 'A server of the pair did not start, or replication between them did not.',
  OFFSET_INPUT: 'An address, a file or an option of the command is wrong.',
  OFFSET_REFUSED: 'A check found something that forbids it; everything found is named. Nothing was changed.',
  OFFSET_UNDONE: 'A step did not succeed within its deadline; what was done was undone.',
  OFFSET_FAILED: 'A step failed and could not be undone; the message says what is true now and what to do.',
} as const;

export type PairErrorCode = keyof typeof pairErrorCodes;

/** The error of this package. `message` says cause and next step, and holds no secret. */
export class PairError extends Error {
  override readonly name = 'PairError';
  readonly code: PairErrorCode;
  readonly retry: 'safe' | 'unsafe' | 'unknown';

  constructor(
    code: PairErrorCode,
    message: string,
    retry: 'safe' | 'unsafe' | 'unknown' = 'safe',
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.retry = retry;
  }
}

/** The text of anything that was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
