/** Logging in to a server, as the client of its protocol: what is answered to each question. */

import { pbkdf2, randomBytes } from 'node:crypto';
import {
  type Authentication,
  checkServerFinal,
  encodePassword,
  encodeSaslInitial,
  encodeSaslResponse,
  keysOf,
  type LoginKeys,
  md5Answer,
  preparedPassword,
  type ScramClientProof,
  type ScramClientStart,
  scramClientChallenge,
  scramClientFinal,
  scramClientFirst,
  WireError,
} from '@understudy/wire/postgres';

export type Credentials =
  /** Recovered from the proof of a client: they log in wherever the same verifier is stored. */
  | { readonly kind: 'keys'; readonly keys: LoginKeys }
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'none' };

const KEY_BYTES = 32;

export class ServerLogin {
  readonly #user: string;
  readonly #credentials: Credentials;
  readonly #isVerified: boolean;
  #start: ScramClientStart | null = null;
  #proof: ScramClientProof | null = null;
  #isProven = false;

  /** @param isVerified whether the connection is proven to lead to the server: only then a password goes over it */
  constructor(user: string, credentials: Credentials, isVerified: boolean) {
    this.#isVerified = isVerified;
    this.#user = user;
    this.#credentials = credentials;
  }

  /**
   * @returns what to send; null: nothing
   * @throws WireError `auth-failed`, `unexpected`, `malformed`
   */
  async answer(question: Authentication): Promise<Buffer | null> {
    switch (question.kind) {
      case 'ok':
        if (this.#proof !== null && !this.#isProven) throw new WireError('unexpected', 'the server left out its proof');
        return null;
      case 'cleartext':
        if (!this.#isVerified) {
          const message =
            'the server asks for the password in clear, over a connection that does not prove whose it is';
          throw new WireError('auth-failed', message);
        }
        return encodePassword(this.#password('in clear'));
      case 'md5':
        return encodePassword(md5Answer(this.#user, this.#password('as MD5'), question.salt));
      case 'sasl':
        this.#start = scramClientFirst(question.mechanisms, null, randomBytes(18).toString('base64'));
        return encodeSaslInitial(this.#start.mechanism, this.#start.clientFirst);
      case 'sasl-continue':
        return this.#prove(question.text);
      case 'sasl-final':
        if (this.#proof === null) throw new WireError('unexpected', 'a proof came before its question');
        checkServerFinal(this.#proof, question.text);
        this.#isProven = true;
        return null;
      case 'other':
        throw new WireError('unexpected', `the server asks for a login of kind ${question.code}`);
    }
  }

  async #prove(text: string): Promise<Buffer> {
    if (this.#start === null) throw new WireError('unexpected', 'the server went on with a login that did not begin');
    const step = scramClientChallenge(this.#start, text);
    const { salt, iterations } = step.challenge;
    this.#proof = scramClientFinal(step, await this.#keys(salt, iterations));
    return encodeSaslResponse(this.#proof.clientFinal);
  }

  async #keys(salt: Buffer, iterations: number): Promise<LoginKeys> {
    if (this.#credentials.kind === 'keys') return this.#credentials.keys;
    const password = preparedPassword(this.#password('by SCRAM'));
    const salted = await new Promise<Buffer>((done, fail) => {
      pbkdf2(password, salt, iterations, KEY_BYTES, 'sha256', (error, key) =>
        error === null ? done(key) : fail(error),
      );
    });
    return keysOf(salted, salt, iterations);
  }

  #password(how: string): string {
    if (this.#credentials.kind === 'password') return this.#credentials.password;
    throw new WireError('auth-failed', `the server wants the password ${how}, and the router has none of this user`);
  }
}
