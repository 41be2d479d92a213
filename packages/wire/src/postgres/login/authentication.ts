/** Questions of a server during the login, and the answers of a client. */

import { ByteReader, ByteWriter } from '../bytes.ts';
import { WireError } from '../error.ts';
import { CLIENT, SERVER } from '../types.ts';

export type Authentication =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl-continue'; readonly text: string }
  | { readonly kind: 'sasl-final'; readonly text: string }
  /** Kerberos, GSS, SSPI: known to exist, not spoken here. */
  | { readonly kind: 'other'; readonly code: number };

const CODES = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;

/** @param body the message without its header. @throws WireError `malformed` */
export function parseAuthentication(body: Buffer): Authentication {
  const reader = new ByteReader(body);
  const code = reader.int32();
  switch (code) {
    case CODES.ok:
      return { kind: 'ok' };
    case CODES.cleartext:
      return { kind: 'cleartext' };
    case CODES.md5:
      return { kind: 'md5', salt: Buffer.from(reader.bytes(4)) };
    case CODES.sasl: {
      const mechanisms: string[] = [];
      for (let name = reader.text(); name !== ''; name = reader.text()) mechanisms.push(name);
      return { kind: 'sasl', mechanisms };
    }
    case CODES.saslContinue:
      return { kind: 'sasl-continue', text: reader.rest().toString('utf8') };
    case CODES.saslFinal:
      return { kind: 'sasl-final', text: reader.rest().toString('utf8') };
    default:
      return { kind: 'other', code };
  }
}

/** @throws WireError `unexpected` for the kinds that are not spoken here */
export function encodeAuthentication(question: Authentication): Buffer {
  return new ByteWriter()
    .message(SERVER.authentication, (writer) => {
      switch (question.kind) {
        case 'ok':
          return writer.int32(CODES.ok);
        case 'cleartext':
          return writer.int32(CODES.cleartext);
        case 'md5':
          return writer.int32(CODES.md5).bytes(question.salt);
        case 'sasl':
          writer.int32(CODES.sasl);
          for (const name of question.mechanisms) writer.text(name);
          return writer.uint8(0);
        case 'sasl-continue':
          return writer.int32(CODES.saslContinue).bytes(Buffer.from(question.text));
        case 'sasl-final':
          return writer.int32(CODES.saslFinal).bytes(Buffer.from(question.text));
        case 'other':
          throw new WireError('unexpected', `a login of kind ${question.code} is not spoken here`);
      }
    })
    .done();
}

/** PasswordMessage, in clear or as MD5. */
export const encodePassword = (text: string): Buffer =>
  new ByteWriter().message(CLIENT.password, (writer) => writer.text(text)).done();

/** @throws WireError `malformed` */
export function parsePassword(body: Buffer): string {
  const reader = new ByteReader(body);
  const text = reader.text();
  reader.done();
  return text;
}

export const encodeSaslInitial = (mechanism: string, text: string): Buffer =>
  new ByteWriter()
    .message(CLIENT.password, (writer) => {
      const bytes = Buffer.from(text);
      writer.text(mechanism).int32(bytes.length).bytes(bytes);
    })
    .done();

export interface SaslInitial {
  readonly mechanism: string;
  /** Empty when the client sent none. */
  readonly text: string;
}

/** @throws WireError `malformed` */
export function parseSaslInitial(body: Buffer): SaslInitial {
  const reader = new ByteReader(body);
  const mechanism = reader.text();
  const length = reader.int32();
  const text = length === -1 ? '' : reader.bytes(length).toString('utf8');
  reader.done();
  return { mechanism, text };
}

export const encodeSaslResponse = (text: string): Buffer =>
  new ByteWriter().message(CLIENT.password, (writer) => writer.bytes(Buffer.from(text))).done();

export const parseSaslResponse = (body: Buffer): string => body.toString('utf8');
