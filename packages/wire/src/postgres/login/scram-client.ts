/** The client's side of SCRAM-SHA-256, with and without channel binding. */

import { WireError } from '../error.ts';
import { hmac, type LoginKeys, sameBytes, sha256, xor } from './scram-keys.ts';
import { parseServerFinal, parseServerFirst, SCRAM, SCRAM_PLUS, type ServerFirst } from './scram-messages.ts';

export interface ScramClientStart {
  readonly mechanism: typeof SCRAM | typeof SCRAM_PLUS;
  /** Text to begin with. */
  readonly clientFirst: string;
  readonly gs2Header: string;
  readonly binding: Buffer;
  readonly nonce: string;
}

/**
 * Begins a login.
 *
 * @param offered mechanisms of the server
 * @param endPoint hash of the server's certificate; null: without TLS
 * @throws WireError `unexpected` when the server offers none that we know
 */
export function scramClientFirst(offered: readonly string[], endPoint: Buffer | null, nonce: string): ScramClientStart {
  const isBound = endPoint !== null && offered.includes(SCRAM_PLUS);
  if (!isBound && !offered.includes(SCRAM)) {
    throw new WireError('unexpected', 'the server offers no SASL mechanism that is known here');
  }
  const gs2Header = isBound ? 'p=tls-server-end-point,,' : endPoint === null ? 'n,,' : 'y,,';
  return {
    mechanism: isBound ? SCRAM_PLUS : SCRAM,
    clientFirst: `${gs2Header}n=,r=${nonce}`,
    gs2Header,
    binding: isBound ? endPoint : Buffer.alloc(0),
    nonce,
  };
}

/** A login of which the server's first message came. */
export interface ScramClientStep {
  readonly start: ScramClientStart;
  readonly serverFirst: string;
  readonly challenge: ServerFirst;
}

/** @throws WireError `malformed`; `unexpected` when the nonce is not a longer one of ours */
export function scramClientChallenge(start: ScramClientStart, text: string): ScramClientStep {
  const challenge = parseServerFirst(text);
  if (!challenge.nonce.startsWith(start.nonce) || challenge.nonce.length === start.nonce.length) {
    throw new WireError('unexpected', 'the server answered with the nonce of another login');
  }
  return { start, serverFirst: text, challenge };
}

export interface ScramClientProof {
  /** Text to send. */
  readonly clientFinal: string;
  /** What the server has to answer with to prove that it has the verifier. */
  readonly serverSignature: Buffer;
}

/**
 * @param keys of exactly the salt and the iterations of the challenge
 * @throws WireError `auth-failed` when they are of others: the password was changed
 */
export function scramClientFinal(
  { start, serverFirst, challenge }: ScramClientStep,
  keys: LoginKeys,
): ScramClientProof {
  if (keys.iterations !== challenge.iterations || !sameBytes(keys.salt, challenge.salt)) {
    throw new WireError('auth-failed', 'the keys belong to another salt than the server has stored');
  }
  const channel = Buffer.concat([Buffer.from(start.gs2Header), start.binding]).toString('base64');
  const withoutProof = `c=${channel},r=${challenge.nonce}`;
  const covered = `n=,r=${start.nonce},${serverFirst},${withoutProof}`;
  const proof = xor(keys.clientKey, hmac(sha256(keys.clientKey), covered));
  return {
    clientFinal: `${withoutProof},p=${proof.toString('base64')}`,
    serverSignature: hmac(keys.serverKey, covered),
  };
}

/** @throws WireError `auth-failed` when the server has not the verifier, or refuses */
export function checkServerFinal({ serverSignature }: ScramClientProof, text: string): void {
  const final = parseServerFinal(text);
  if (final.kind === 'error') throw new WireError('auth-failed', 'the server refuses the proof');
  if (!sameBytes(final.signature, serverSignature)) {
    throw new WireError('auth-failed', 'the server does not know the password: it may be another one');
  }
}
