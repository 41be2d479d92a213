/** Errors of the router as a program. What its clients get are PostgreSQL's own errors, with SQLSTATE. */

/** Every code with its meaning and what to do next. */
export const ROUTER_ERROR_CODES = {
  CONFIG_INVALID: 'The configuration is wrong. Correct the named setting.',
  FILE_UNREADABLE: 'A file that the configuration names cannot be read.',
  PORT_TAKEN: 'Another program listens on the address. Choose another one, or end that program.',
  WORKER_LOST: 'A worker process ended by itself. It is started again; its clients lost their connections.',
} as const;

export type RouterErrorCode = keyof typeof ROUTER_ERROR_CODES;

export class RouterError extends Error {
  override readonly name = 'RouterError';
  readonly code: RouterErrorCode;
  /** Nothing was done in any of these cases. */
  readonly retry = 'safe' as const;

  constructor(code: RouterErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.code = code;
  }
}

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
