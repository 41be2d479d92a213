/** What the codecs refuse: one table of codes, which is also their documentation. */

/** Every code with its meaning. None of them can be helped by trying again: the connection has to be closed. */
export const WIRE_ERROR_CODES = {
  'bad-length':
    'A length field is outside what the protocol allows. The peer does not speak PostgreSQL, or is hostile.',
  'too-long': 'A message is longer than the limit for its kind.',
  'unknown-type': 'A message of a type that this direction does not have.',
  malformed: 'The content of a message does not fit its type.',
  unexpected: 'A message that cannot come in this state of the conversation.',
  'too-many': 'More messages without an answer than the limit allows.',
  'auth-failed': 'The proof of a password is wrong.',
} as const;

export type WireErrorCode = keyof typeof WIRE_ERROR_CODES;

/** The only error that a codec throws. Its text holds lengths and types, never content. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: WireErrorCode;

  constructor(code: WireErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
