/** The texts of SCRAM-SHA-256 (RFC 5802, RFC 7677), read strictly and with a bound on each length. */

import { WireError } from '../error.ts';

export const SCRAM = 'SCRAM-SHA-256';
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS';

/** How the channel is bound to the proof: not known to the client, known but not offered by the server, or used. */
export type Gs2Flag = 'n' | 'y' | 'p';

export interface ClientFirst {
  readonly flag: Gs2Flag;
  /** Kind of the binding for `p`, such as `tls-server-end-point`. */
  readonly bindingKind: string | null;
  /** The header as it came, with its last comma: the proof covers it. */
  readonly gs2Header: string;
  /** What follows the header. */
  readonly bare: string;
  readonly nonce: string;
}

/** Longest text of a login: nonces, salts and proofs are far shorter. */
export const MAX_SCRAM_CHARS = 4096;
const MAX_NONCE_CHARS = 512;

const bad = (what: string): WireError => new WireError('malformed', `a SCRAM message has ${what}`);

const GS2 = /^(?:([ny])|p=([A-Za-z0-9.-]{1,64})),(?:a=([^,]*))?,/;
/** Printable ASCII without the comma. */
const NONCE = /^[\x21-\x2b\x2d-\x7e]+$/;

/** @throws WireError `malformed` */
export function parseClientFirst(text: string): ClientFirst {
  if (text.length > MAX_SCRAM_CHARS) throw bad('too many characters');
  const header = GS2.exec(text);
  if (header === null) throw bad('no header');
  if (header[3] !== undefined) throw bad('an identity to act as, which PostgreSQL does not know');
  const bare = text.slice(header[0].length);
  const attributes = attributesOf(bare);
  // PostgreSQL takes the name from the startup packet; the one here is often empty and not looked at.
  if (attributes[0]?.[0] !== 'n' || attributes[1]?.[0] !== 'r') throw bad('no name or no nonce');
  const nonce = checkedNonce(attributes[1][1]);
  const bindingKind = header[2] ?? null;
  return {
    flag: bindingKind === null ? (header[1] as 'n' | 'y') : 'p',
    bindingKind,
    gs2Header: header[0],
    bare,
    nonce,
  };
}

export interface ServerFirst {
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

/** Iterations above this are a way to keep the client busy. PostgreSQL's default is 4096. */
export const MAX_ITERATIONS = 10_000_000;

/** @throws WireError `malformed` */
export function parseServerFirst(text: string): ServerFirst {
  if (text.length > MAX_SCRAM_CHARS) throw bad('too many characters');
  const [nonce, salt, iterations] = attributesOf(text);
  if (nonce?.[0] !== 'r' || salt?.[0] !== 's' || iterations?.[0] !== 'i') throw bad('no nonce, salt or iterations');
  const count = /^[1-9][0-9]{0,8}$/.test(iterations[1]) ? Number(iterations[1]) : 0;
  if (count < 1 || count > MAX_ITERATIONS) throw bad('an impossible number of iterations');
  return { nonce: checkedNonce(nonce[1]), salt: base64(salt[1]), iterations: count };
}

export interface ClientFinal {
  /** What the client says the channel is: the header of its first message and the binding. */
  readonly channel: Buffer;
  readonly nonce: string;
  readonly proof: Buffer;
  /** The message up to the proof: the proof covers it. */
  readonly withoutProof: string;
}

/** @throws WireError `malformed` */
export function parseClientFinal(text: string): ClientFinal {
  if (text.length > MAX_SCRAM_CHARS) throw bad('too many characters');
  const attributes = attributesOf(text);
  const proof = attributes.at(-1);
  if (attributes[0]?.[0] !== 'c' || attributes[1]?.[0] !== 'r' || proof?.[0] !== 'p') throw bad('no proof');
  return {
    channel: base64(attributes[0][1]),
    nonce: checkedNonce(attributes[1][1]),
    proof: base64(proof[1], 32),
    withoutProof: text.slice(0, text.lastIndexOf(',p=')),
  };
}

export type ServerFinal =
  | { readonly kind: 'signature'; readonly signature: Buffer }
  | { readonly kind: 'error'; readonly text: string };

/** @throws WireError `malformed` */
export function parseServerFinal(text: string): ServerFinal {
  if (text.length > MAX_SCRAM_CHARS) throw bad('too many characters');
  const [first] = attributesOf(text);
  if (first?.[0] === 'e') return { kind: 'error', text: first[1] };
  if (first?.[0] !== 'v') throw bad('no signature');
  return { kind: 'signature', signature: base64(first[1], 32) };
}

/** `a=value` parts, in order. */
function attributesOf(text: string): readonly (readonly [string, string])[] {
  return text.split(',').map((part) => {
    if (!/^[A-Za-z]=/.test(part)) throw bad('a part without a name');
    return [part.charAt(0), part.slice(2)] as const;
  });
}

function checkedNonce(text: string): string {
  if (text.length > MAX_NONCE_CHARS || !NONCE.test(text)) throw bad('an impossible nonce');
  return text;
}

/** Node skips what is no base64: another text must not be taken for the same bytes. */
function base64(text: string, lengthBytes?: number): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text || text === '') throw bad('a value that is not base64');
  if (lengthBytes !== undefined && bytes.length !== lengthBytes) throw bad(`a value of ${bytes.length} bytes`);
  return bytes;
}
