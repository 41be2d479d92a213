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

export const STATUS_IDLE = STATUS.idle;
export const STATUS_FAILED = STATUS.failed;
