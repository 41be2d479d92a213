/**
 * Every failure of this package, by code. The code is stable and documented in `docs/servers.md`;
 * the message says the cause and the next step.
 */
export const serversErrorCodes = {
  SERVER_UNKNOWN: 'No recipe has that name',
  SERVER_NOT_FOUND: 'No usable server of the wanted kind and version is on this machine',
  SERVER_BROKEN: 'A folder that should hold a server does not: a file is missing or does not run',
  PLATFORM_UNSUPPORTED: 'There are no binaries for this operating system or processor',
  TOOL_MISSING: 'A program that fetching needs is not installed',
  FETCH_FAILED: 'The download or its verification failed',
  CACHE_UNWRITABLE: 'The cache folder cannot be written',
  LOCK_TIMEOUT: 'Another process has been fetching the same server for too long',
  USER_MISSING: 'PostgreSQL refuses to run as root and there is no other user to run it as',
  UNREACHABLE: 'The user that runs the server cannot read its binaries, and no safe copy could be made',
  COMMAND_FAILED: 'A helper program failed, or did not end before its deadline',
} as const;

export type ServersErrorCode = keyof typeof serversErrorCodes;

/** Whether the same call may succeed when repeated: `safe` (nothing was changed), `unsafe` (it will fail again). */
export type ServersRetry = 'safe' | 'unsafe' | 'unknown';

/** An error of this package: `code` for programs, `message` (cause and next step) for people. */
export class ServersError extends Error {
  override readonly name = 'ServersError';
  readonly code: ServersErrorCode;
  readonly retry: ServersRetry;

  constructor(code: ServersErrorCode, message: string, retry: ServersRetry = 'unsafe', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retry = retry;
  }
}

/** The text of anything that was thrown, for use inside another message. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system error (`ENOENT`, `EEXIST`, …), or undefined when it is not one. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
