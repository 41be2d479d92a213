/** The server's side of SCRAM-SHA-256, with and without channel binding. */

import { WireError } from '../error.ts';
import { hmac, type LoginKeys, sameBytes, sha256, type Verifier, xor } from './scram-keys.ts';
import { type ClientFirst, parseClientFinal, parseClientFirst, SCRAM, SCRAM_PLUS } from './scram-messages.ts';

/** What the channel offers. */
export interface ServerChannel {
  /** Hash of the certificate that the client sees (`tls-server-end-point`); null: the channel cannot be bound. */
  readonly endPoint: Buffer | null;
}

/** The mechanisms to offer, best first. */
export const mechanismsOf = ({ endPoint }: ServerChannel): readonly string[] =>
  endPoint === null ? [SCRAM] : [SCRAM_PLUS, SCRAM];

/** A login of which the first message came. */
export interface ScramServerStep {
  /** Text to answer with. */
  readonly serverFirst: string;
  readonly clientFirst: ClientFirst;
  readonly verifier: Verifier;
  readonly endPoint: Buffer | null;
}

export interface ScramServerResult {
  /** Text of AuthenticationSASLFinal. */
  readonly serverFinal: string;
  /** What the client proved to have: it logs in wherever the same verifier is stored. */
  readonly keys: LoginKeys;
}

/**
 * Takes the client's first message.
 *
 * @param serverNonce printable characters without a comma, made anew for every login
 * @throws WireError `malformed`; `auth-failed` when somebody between took the binding away
 */
export function scramServerFirst(
  mechanism: string,
  text: string,
  verifier: Verifier,
  { endPoint }: ServerChannel,
  serverNonce: string,
): ScramServerStep {
  const clientFirst = parseClientFirst(text);
  const { flag, bindingKind } = clientFirst;
  if (mechanism !== SCRAM && (mechanism !== SCRAM_PLUS || endPoint === null)) {
    throw new WireError('malformed', 'a client chose a SASL mechanism that was not offered');
  }
  if ((mechanism === SCRAM_PLUS) !== (flag === 'p')) {
    throw new WireError('malformed', 'a SCRAM mechanism and its header do not fit');
  }
  if (flag === 'p' && bindingKind !== 'tls-server-end-point') {
    throw new WireError('malformed', 'a SCRAM message asks for an unknown kind of channel binding');
  }
  if (flag === 'y' && endPoint !== null) {
    // The client can bind and was told that we cannot: somebody between changed the list.
    throw new WireError('auth-failed', 'the offer of channel binding did not reach the client');
  }
  const salt = verifier.salt.toString('base64');
  const serverFirst = `r=${clientFirst.nonce}${serverNonce},s=${salt},i=${verifier.iterations}`;
  return { serverFirst, clientFirst, verifier, endPoint };
}

/**
 * Takes the client's last message.
 *
 * @throws WireError `auth-failed` for a wrong password; `malformed`
 */
export function scramServerFinal(step: ScramServerStep, text: string): ScramServerResult {
  const { clientFirst, serverFirst, verifier, endPoint } = step;
  const final = parseClientFinal(text);
  const nonce = serverFirst.slice(2, serverFirst.indexOf(','));
  const binding = clientFirst.flag === 'p' && endPoint !== null ? endPoint : Buffer.alloc(0);
  const channel = Buffer.concat([Buffer.from(clientFirst.gs2Header), binding]);
  if (!sameBytes(final.channel, channel))
    throw new WireError('auth-failed', 'the channel is not the one that was bound');
  if (final.nonce !== nonce) throw new WireError('malformed', 'a SCRAM message has the nonce of another login');
  const covered = `${clientFirst.bare},${serverFirst},${final.withoutProof}`;
  const clientKey = xor(final.proof, hmac(verifier.storedKey, covered));
  if (!sameBytes(sha256(clientKey), verifier.storedKey)) throw new WireError('auth-failed', 'the proof is wrong');
  return {
    serverFinal: `v=${hmac(verifier.serverKey, covered).toString('base64')}`,
    keys: { clientKey, serverKey: verifier.serverKey, salt: verifier.salt, iterations: verifier.iterations },
  };
}
