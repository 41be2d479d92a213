/** Errors of the consensus store: one table of codes, which is also their documentation. */

/**
 * What the caller may do after a failed call:
 * - `safe`: certainly not applied; the same call may be made again;
 * - `unsafe`: certainly not applied, and making the same call again cannot help: something must change first;
 * - `unknown`: may have been applied. Read, then decide. Only `transact` throws this.
 */
export type Retry = 'safe' | 'unsafe' | 'unknown';

/** Every code with its meaning and what to do next. */
export const STORE_ERROR_CODES = {
  'invalid-config': 'The store configuration is wrong. Correct the named setting.',
  'invalid-argument': 'A key, value, lease or deadline is outside the limits. A mistake in the calling code.',
  'deadline-exceeded': 'No answer within the deadline. Is a member of the store frozen or out of quorum?',
  unavailable: 'No endpoint of the store can be used (refused, unreachable, without leader, shutting down).',
  'outcome-unknown': 'The transaction was sent and its answer was lost. Read before deciding anything.',
  'lease-expired': 'A put named a lease that is gone. Nothing was written. Grant a lease and try again.',
  unauthorized: 'The store refused user, password, token, certificate or permission. Correct the credentials.',
  'wrong-cluster': 'This is not the store that was used before. Point the configuration at the right one.',
  'revision-went-back': 'The store lost writes (restored from a backup or emptied). A person has to look.',
  'store-full': 'The store has no space left (etcd quota or disk). Free space; in etcd compact and disarm.',
  'folder-missing': 'The folder of the local store does not exist. Create it or correct the path.',
  'permission-denied': 'The file of the local store may not be read or written by this user.',
  'not-a-store': 'The file is not an Understudy store. Correct the path; the file was not touched.',
  corrupt: 'The store is damaged. Move the file aside and restore it, or let the cluster make a new one.',
  'schema-too-new': 'The file was made by a newer Understudy. Upgrade this one.',
  'unsupported-platform': 'The local store needs Linux and a file system of this machine, not a network share.',
  'io-error': 'The operating system failed to read or write the file of the local store.',
  'protocol-error': 'The answer is not one that etcd v3 gives. Is the endpoint really etcd 3.4 or newer?',
  'listener-failed': 'onSnapshot of a watch threw. A mistake in the calling code; the watch goes on.',
  closed: 'The store was closed by this process.',
} as const;

export type StoreErrorCode = keyof typeof STORE_ERROR_CODES;

/** The process whose lock on the local store made a call time out. */
export interface LockHolder {
  readonly pid: number;
  /** `stopped`: it will not go on by itself (SIGSTOP, debugger). Ending it frees the store without damage. */
  readonly state: 'stopped' | 'running';
}

export interface StoreErrorOptions {
  readonly code: StoreErrorCode;
  readonly retry: Retry;
  /** Cause with the values seen, and the next step. Never a secret. */
  readonly message: string;
  readonly cause?: unknown;
  readonly lockHolder?: LockHolder | null;
}

/** The only error that a Store throws or reports. `code` is one of {@link STORE_ERROR_CODES}. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  readonly retry: Retry;
  /** Known at most for `deadline-exceeded` of the local store. */
  readonly lockHolder: LockHolder | null;

  constructor(options: StoreErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.retry = options.retry;
    this.lockHolder = options.lockHolder ?? null;
  }
}
