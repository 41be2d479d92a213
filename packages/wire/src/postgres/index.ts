/** PostgreSQL's protocol 3.0 and 3.2, both directions. */

export { ByteReader, ByteWriter, letter } from './bytes.ts';
export { WIRE_ERROR_CODES, WireError, type WireErrorCode } from './error.ts';
export * from './frame-scanner.ts';
export * from './login/authentication.ts';
export { md5Answer, md5AnswerOfSecret } from './login/md5.ts';
export { preparedPassword } from './login/sasl-prep.ts';
export * from './login/scram-client.ts';
export {
  formatVerifier,
  keysOf,
  type LoginKeys,
  parseVerifier,
  type Verifier,
  verifierOf,
} from './login/scram-keys.ts';
export { MAX_ITERATIONS, MAX_SCRAM_CHARS, SCRAM, SCRAM_PLUS } from './login/scram-messages.ts';
export * from './login/scram-server.ts';
export * from './login/startup.ts';
export * from './messages/client-messages.ts';
export * from './messages/error-fields.ts';
export * from './messages/server-messages.ts';
export * from './session/conversation.ts';
export * from './types.ts';
