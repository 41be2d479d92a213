/** Errors of this package: one table of codes, which is also their documentation. */

export const LOCAL_ERROR_CODES = {
  CLUSTER_BUSY: 'Another process runs a cluster in this folder. End that one, or choose another folder.',
  FOLDER_UNUSABLE: 'The cluster folder cannot be made, written, or reached by the user that runs the servers.',
  STATE_INVALID: 'The state file of the folder cannot be read, or is of another version or another kind of cluster.',
  NO_FREE_PORT: 'No free port was found on the loopback address.',
  STORE_FAILED: 'The consensus store of the cluster did not start.',
  CERTIFICATES_FAILED: "The cluster's certificates cannot be made, read or renewed.",
  AGENT_FAILED: 'An agent ended while the cluster was starting. The message has the end of its log.',
  START_TIMEOUT: 'The cluster was not ready in time. The message says what each node was waiting for.',
  STOP_TIMEOUT: 'A process did not end although it was killed.',
  LOGIN_FAILED: 'The account of the cluster could not be made in its database.',
  NETWORK_FAILED: 'Network namespaces could not be made. They need root and the program "ip".',
  API_FAILED: "An agent's HTTP API did not answer, or refused.",
  INTERRUPTED: 'The operation was interrupted by the caller.',
} as const;

export type LocalErrorCode = keyof typeof LOCAL_ERROR_CODES;

/** The error of this package. `message` says cause and next step, and holds no secret. */
export class LocalError extends Error {
  override readonly name = 'LocalError';
  readonly code: LocalErrorCode;
  readonly retry: 'safe' | 'unsafe' | 'unknown';

  constructor(
    code: LocalErrorCode,
    message: string,
    retry: 'safe' | 'unsafe' | 'unknown' = 'safe',
    options?: { cause?: unknown },
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

/** The `code` of a system error, such as `ENOENT`; null for anything else. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
