import { EXIT, type ExitCode } from './exit-codes.ts';

/** Every code of the command's own errors with its meaning. Errors of other parts keep the code they came with. */
export const CLI_ERROR_CODES = {
  USAGE: 'The command, an option or an argument is unknown, missing or wrong.',
  NO_CLUSTER: 'There is no cluster where one was looked for.',
  UNREACHABLE: 'No agent of the cluster answered.',
  ANSWER_INVALID: 'Something answered that is not an agent of this version.',
  REFUSED: 'The cluster refused the request and says why. Nothing was changed.',
  REQUEST_FAILED: 'The request was carried out and did not succeed; the message says what is true now.',
  STILL_PENDING:
    'The request was not done in the time that the command waited; the message says whether it was taken back or goes on.',
  NOT_CONFIRMED: 'The question was not answered as it has to be. Nothing was changed.',
  CONFIG_CHANGED: 'Somebody else changed the configuration meanwhile. Nothing was changed.',
  FILE_UNREADABLE: 'A file that was named cannot be read or written.',
  EDITOR_FAILED: 'The editor could not be started or ended with an error. Nothing was changed.',
  UNHEALTHY: '`status --check` found the cluster less than whole.',
  INTERRUPTED: 'The command was interrupted.',
  INTERNAL: 'A mistake in Understudy. Please report it with the output of --debug.',
} as const;

export type CliErrorCode = keyof typeof CLI_ERROR_CODES;

const exitOf: Readonly<Record<CliErrorCode, ExitCode>> = {
  USAGE: EXIT.usage,
  NO_CLUSTER: EXIT.unreachable,
  UNREACHABLE: EXIT.unreachable,
  ANSWER_INVALID: EXIT.unreachable,
  REFUSED: EXIT.refused,
  REQUEST_FAILED: EXIT.failed,
  STILL_PENDING: EXIT.failed,
  NOT_CONFIRMED: EXIT.failed,
  CONFIG_CHANGED: EXIT.refused,
  FILE_UNREADABLE: EXIT.usage,
  EDITOR_FAILED: EXIT.failed,
  UNHEALTHY: EXIT.failed,
  INTERRUPTED: EXIT.interrupted,
  INTERNAL: EXIT.failed,
};

/** An error of the command itself: what happened, and what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;
  readonly next: string;
  readonly retry: 'safe' | 'unsafe' | 'unknown';

  /** @param next one sentence; empty where there is nothing to do */
  constructor(
    code: CliErrorCode,
    message: string,
    next: string,
    options: { readonly retry?: 'safe' | 'unsafe' | 'unknown'; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.next = next;
    this.retry = options.retry ?? 'unsafe';
  }

  get exitCode(): ExitCode {
    return exitOf[this.code];
  }
}

/** The text of anything that was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system or typed error; null when it has none. */
export function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
