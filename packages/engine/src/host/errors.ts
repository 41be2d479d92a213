/** The code of a system error (`ENOENT`) or of a driver's; undefined when there is none. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Whether a code is an SQLSTATE, so that it is the server that spoke: five digits or capital letters, a digit among them. `EPIPE` and
 * `EPERM` of the system have five letters too.
 */
export function isSqlState(code: string | null | undefined): code is string {
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code);
}

/** What anything that was thrown says, for use inside another message. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
