/** Types of messages, by direction. The same letter means different things in each of them. */

import { letter } from './bytes.ts';

/** From client to server. */
export const CLIENT = {
  bind: letter('B'),
  close: letter('C'),
  copyData: letter('d'),
  copyDone: letter('c'),
  copyFail: letter('f'),
  describe: letter('D'),
  execute: letter('E'),
  flush: letter('H'),
  functionCall: letter('F'),
  parse: letter('P'),
  /** Password, SASL and GSS answers: which, the question says. */
  password: letter('p'),
  query: letter('Q'),
  sync: letter('S'),
  terminate: letter('X'),
} as const;

/** From server to client. */
export const SERVER = {
  authentication: letter('R'),
  backendKeyData: letter('K'),
  bindComplete: letter('2'),
  closeComplete: letter('3'),
  commandComplete: letter('C'),
  copyBothResponse: letter('W'),
  copyData: letter('d'),
  copyDone: letter('c'),
  copyInResponse: letter('G'),
  copyOutResponse: letter('H'),
  dataRow: letter('D'),
  emptyQueryResponse: letter('I'),
  errorResponse: letter('E'),
  functionCallResponse: letter('V'),
  negotiateProtocolVersion: letter('v'),
  noData: letter('n'),
  noticeResponse: letter('N'),
  notificationResponse: letter('A'),
  parameterDescription: letter('t'),
  parameterStatus: letter('S'),
  parseComplete: letter('1'),
  portalSuspended: letter('s'),
  readyForQuery: letter('Z'),
  rowDescription: letter('T'),
} as const;

/** Status of a transaction, as ReadyForQuery has it. */
export const STATUS = { idle: letter('I'), inTransaction: letter('T'), failed: letter('E') } as const;

export type TransactionStatus = (typeof STATUS)[keyof typeof STATUS];
