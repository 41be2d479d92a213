import type { Retry } from '../errors.ts';
import { type FailoverAction, type FailoverPhase, failoverAction, type Sent, type Sign } from './table.ts';

/** What a client is told. */
export interface ClientError {
  readonly sqlState: string;
  /** `FATAL`: the session cannot go on. */
  readonly severity: 'ERROR' | 'FATAL';
  readonly message: string;
  readonly hint: string;
  readonly retry: Retry;
}

export type FailoverOutcome =
  | { readonly action: 'pass' | 'hold' | 'replay' }
  | { readonly action: 'refuse' | 'unknown'; readonly error: ClientError };

/** The cell of the table with what the client is told. */
export function failoverOutcome(sign: Sign, phase: FailoverPhase, sent: Sent): FailoverOutcome {
  const action: FailoverAction = failoverAction(sign, phase, sent);
  if (action === 'unknown') return { action, error: UNKNOWN };
  if (action === 'refuse') return { action, error: sign === 'local' && sent === 'nothing' ? LOCAL : refusalOf(sent) };
  return { action };
}

const UNKNOWN: ClientError = {
  sqlState: '08007',
  severity: 'ERROR',
  message: 'whether this was committed is unknown: the primary was lost before it had answered',
  hint: 'Look whether it took effect before it is sent again.',
  retry: 'unknown',
};

const LOCAL: ClientError = {
  sqlState: '53000',
  severity: 'ERROR',
  message: 'the router has no resources for another server connection',
  hint: 'Raise its limit of file descriptors, or send less at once.',
  retry: 'safe',
};

const ROLLED_BACK: ClientError = {
  sqlState: '40001',
  severity: 'ERROR',
  message: 'the transaction was rolled back: the node that it ran on is no longer the primary',
  hint: 'Run the transaction again from its beginning.',
  retry: 'safe',
};

function refusalOf(sent: Sent): ClientError {
  if (sent === 'read-forwarded') {
    return {
      sqlState: '08006',
      severity: 'ERROR',
      message: 'the rest of the result was lost with its server',
      hint: 'Run the query again.',
      retry: 'safe',
    };
  }
  if (sent === 'pinned') {
    return {
      sqlState: '57P01',
      severity: 'FATAL',
      message: 'the state of this session was lost with its server',
      hint: 'Connect again, and make its temporary tables, locks, prepared statements and settings anew.',
      retry: 'safe',
    };
  }
  return ROLLED_BACK;
}

/** What a statement is told that waited as long as it may. Nothing of it was sent. */
export const HELD_TOO_LONG: ClientError = {
  sqlState: '57P03',
  severity: 'ERROR',
  message: 'no primary was open for writes within the time that a statement may wait',
  hint: 'Nothing was sent: it can be repeated. understudy status says what the cluster waits for.',
  retry: 'safe',
};

/** What a statement is told that finds the queue full. Nothing of it was sent. */
export const HOLD_QUEUE_FULL: ClientError = {
  sqlState: '53300',
  severity: 'ERROR',
  message: 'no primary is open for writes, and too much waits for one already',
  hint: 'Nothing was sent: it can be repeated in a moment.',
  retry: 'safe',
};
