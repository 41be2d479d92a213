/** What the loss of a server means for a client: what the router saw, put into the words of the failover table. */

import {
  type Classification,
  type FailoverOutcome,
  failoverOutcome,
  pgSign,
  type Sent,
  type Sign,
} from '@understudy/routing';
import type { ErrorFields } from '@understudy/wire/postgres';
import type { Ended } from '../server/server-connection.ts';

/** What was under way, of everything that was sent and not answered the worst. */
export type UnderWay = 'read' | 'transaction' | 'write' | 'commit';

/** What the loss of the server would mean for a statement. `BEGIN` alone can be sent again. */
export function underWayOf(
  { transaction, mayWrite, knowledge, statements }: Classification,
  isInTransaction: boolean,
): UnderWay {
  const kind = transaction?.kind;
  if (kind === 'commit' || kind === 'prepare' || kind === 'commit-prepared' || kind === 'several') return 'commit';
  // A text that nobody could read may hold a COMMIT.
  if (knowledge === 'none') return isInTransaction ? 'commit' : 'write';
  if (isInTransaction) return 'transaction';
  if (kind === 'begin' && statements === 1) return 'read';
  return mayWrite ? 'write' : kind === undefined ? 'read' : 'transaction';
}

const RANK: readonly UnderWay[] = ['read', 'transaction', 'write', 'commit'];
export const worse = (a: UnderWay, b: UnderWay): UnderWay => (RANK.indexOf(a) > RANK.indexOf(b) ? a : b);

/** The state of a session in the moment in which its server is lost. */
export interface AtLoss {
  readonly underWay: UnderWay;
  readonly isInTransaction: boolean;
  /** Requests are not answered, or a group of them is open. */
  readonly isBusy: boolean;
  /** A COPY FROM STDIN whose end was not sent. */
  readonly isCopyingIn: boolean;
  readonly isForwarded: boolean;
  /** It has state that only that server connection had. */
  readonly isPinned: boolean;
}

export function sentOf({ underWay, isInTransaction, isBusy, isCopyingIn, isForwarded, isPinned }: AtLoss): Sent {
  if (!isBusy) return isInTransaction ? 'transaction-idle' : isPinned ? 'pinned' : 'idle';
  if (underWay === 'commit') return 'commit';
  if (isInTransaction || underWay === 'transaction') return 'transaction';
  if (isCopyingIn) return 'copy';
  if (underWay === 'write') return isForwarded ? 'write-forwarded' : 'write';
  return isForwarded ? 'read-forwarded' : 'read';
}

export function signOf(ended: Ended): Sign {
  switch (ended.kind) {
    case 'told': {
      const { code: sqlState, severity, message } = ended.error;
      const place = { role: 'primary', isOwnReadOnly: false, isDuringLogin: false } as const;
      return pgSign({ sqlState, severity, message }, place) ?? 'lost';
    }
    case 'lost':
      return ended.code === 'PROTOCOL' ? 'protocol' : ended.code === 'DEMOTED' ? 'superseded' : 'lost';
    case 'closed':
      return 'lost';
  }
}

/** The cell of the table. Whatever the topology says: a connection that is gone is gone. */
export const lossOutcome = (ended: Ended, at: AtLoss): FailoverOutcome =>
  failoverOutcome(signOf(ended), 'unseen', sentOf(at));

/** What the client is told; null: nothing, or it is asked again. */
export function lossError(ended: Ended, at: AtLoss): ErrorFields | null {
  const outcome = lossOutcome(ended, at);
  if (outcome.action !== 'refuse' && outcome.action !== 'unknown') return null;
  const { sqlState: code, severity, message, hint } = outcome.error;
  return { severity, code, message, detail: describe(ended), hint };
}

/** Why the connection ended, for a client's eyes. */
export function describe(ended: Ended): string {
  switch (ended.kind) {
    case 'told':
      return `${ended.error.code}: ${ended.error.message}`;
    case 'lost':
      return `${ended.code}: ${ended.message}`;
    case 'closed':
      return 'the router closed the connection';
  }
}
