import { isSqlState } from '@understudy/engine/host';
import type { DriverError } from '../database/session.ts';
import type { Outcome } from './op.ts';

/** SQLSTATE of warnings by which PostgreSQL says that a commit was not replicated although it reports success. */
const warningClass = '01000';
const syncWaitText = /canceling (the )?wait for synchronous replication/i;

export interface ServerNotice {
  readonly code: string | null;
  readonly message: string;
}

/** Whether a notice means that the commit is only known to be on its own node. */
export function isUnreplicated(notice: ServerNotice): boolean {
  return syncWaitText.test(notice.message) && (notice.code === null || notice.code === warningClass);
}

/**
 * What an error says about an insert that had been sent as a transaction of its own.
 *
 * An ERROR rolls the transaction back, so it proves that nothing was written. FATAL and PANIC end the session and can come after the
 * commit record (an administrator's shutdown during the wait for replicas does), and a lost connection proves nothing at all.
 */
export function outcomeOfError(error: DriverError): Outcome {
  return isSqlState(error.code) && error.severity === 'ERROR' ? 'fail' : 'info';
}

/** What an acknowledged insert counts as, with the notices that came before its acknowledgement. */
export function outcomeOfSuccess(notices: readonly ServerNotice[]): Outcome {
  return notices.some(isUnreplicated) ? 'info' : 'ok';
}
