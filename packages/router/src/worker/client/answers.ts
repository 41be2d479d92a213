/** What the router says itself, in the server's place. */

import { type ErrorFields, encodeError, encodeNotice, SERVER, STATUS } from '@understudy/wire/postgres';

export const readyForQuery = (status: number): Buffer => Buffer.from([SERVER.readyForQuery, 0, 0, 0, 5, status]);

/** An error, and as many ReadyForQuery as the client waits for: after the first one, each has an error of its own. */
export function failedRequests(error: ErrorFields, readies: number, status: number): Buffer {
  const parts = [encodeError(error)];
  for (let i = 0; i < readies; i++) {
    if (i > 0) parts.push(encodeError(error));
    parts.push(readyForQuery(status));
  }
  return Buffer.concat(parts);
}

export const fatal = (code: string, message: string, hint?: string): Buffer =>
  encodeError({ severity: 'FATAL', code, message, ...(hint === undefined ? {} : { hint }) });

export const notice = (message: string, detail: string): Buffer =>
  encodeNotice({ severity: 'NOTICE', code: '00000', message, detail });

/** What the loss of a server means for a client, by what was under way. */
export type UnderWay = 'transaction' | 'commit' | 'write' | 'read';

const TRY_AGAIN = 'The transaction was rolled back. Run it again.';
const LOOK_FIRST = 'Look whether it was done before you do it again.';

/** The error that a client gets for what was under way when its server was lost. */
export function lossError(underWay: UnderWay, cause: string): ErrorFields {
  switch (underWay) {
    case 'transaction':
      return error(
        '40001',
        'the server was lost in the middle of the transaction, which was rolled back',
        cause,
        TRY_AGAIN,
      );
    case 'commit':
      return error(
        '08007',
        'the server was lost during COMMIT: whether the transaction took place is unknown',
        cause,
        LOOK_FIRST,
      );
    case 'write':
      return error(
        '08007',
        'the server was lost during the statement: whether it took place is unknown',
        cause,
        LOOK_FIRST,
      );
    case 'read':
      return error('08006', 'the server was lost while it sent the result', cause, 'Run the statement again.');
  }
}

function error(code: string, message: string, detail: string, hint: string): ErrorFields {
  return { severity: 'ERROR', code, message, detail, hint };
}

export const STATUS_IDLE = STATUS.idle;
export const STATUS_FAILED = STATUS.failed;
