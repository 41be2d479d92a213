import { codeOf, reasonOf, UnderstudyError } from '@understudy/base';
import { CliError, type CliErrorCode } from './errors.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';

/** Any failure in the form in which it is shown: one line of cause (or one for each wrong setting), one line of what to do. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly next: string;
  readonly exitCode: ExitCode;
}

/** Exit codes of the command's own errors. */
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

/** Exit codes of the typed errors of other packages, by their code; what is not here is a plain failure. */
const exitByCode: Readonly<Record<string, ExitCode>> = {
  CONFIG_UNREADABLE: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  SECRETS_EXPOSED: EXIT.usage,
  'invalid-config': EXIT.usage,
  RING_INVALID: EXIT.usage,
  STATE_INVALID: EXIT.usage,
  FOLDER_UNUSABLE: EXIT.usage,
  SERVER_UNKNOWN: EXIT.usage,
  CERT_INPUT: EXIT.usage,
  CERT_EXISTS: EXIT.usage,
  CERT_UNREADABLE: EXIT.usage,
  CERT_MISMATCH: EXIT.usage,
  CERT_EXPOSED: EXIT.usage,
  CERT_WRITE_FAILED: EXIT.usage,
  PAIR_REFUSED: EXIT.refused,
  PAIR_STATE_INVALID: EXIT.usage,
  PAIR_NOT_RUNNING: EXIT.unreachable,
  OFFSET_INPUT: EXIT.usage,
  OFFSET_REFUSED: EXIT.refused,
  INTERRUPTED: EXIT.interrupted,
};

/** Turns whatever was thrown into what is shown. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof UnderstudyError)) return internal(error);
  const { code, problem: message, next } = error;
  return { code, message, next, exitCode: exitCodeOf(error, code) };
}

function exitCodeOf(error: unknown, code: string): ExitCode {
  return error instanceof CliError ? exitOf[error.code] : (exitByCode[code] ?? EXIT.failed);
}

function internal(error: unknown): Failure {
  const system = codeOf(error);
  if (error instanceof Error && system !== null && 'syscall' in error) {
    const next = 'Correct that, then try again.';
    return { code: system, message: reasonOf(error), next, exitCode: EXIT.failed };
  }
  const next = 'This is a mistake in Understudy: run it again with --debug and report the output.';
  return { code: 'INTERNAL', message: reasonOf(error), next, exitCode: EXIT.failed };
}
