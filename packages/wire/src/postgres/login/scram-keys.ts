/** Keys of SCRAM-SHA-256: what a server stores, what a client proves, and what of it lets a third party log in. */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { WireError } from '../error.ts';
import { MAX_ITERATIONS } from './scram-messages.ts';

/** What `pg_authid.rolpassword` holds of a password: enough to check a proof, not enough to make one. */
export interface Verifier {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** What logs in: made from a password, or recovered from the proof of a client that had it. */
export interface LoginKeys {
  readonly clientKey: Buffer;
  readonly serverKey: Buffer;
  /** The keys are those of this salt and number of iterations, and of no other. */
  readonly salt: Buffer;
  readonly iterations: number;
}

export const hmac = (key: Buffer, text: string | Buffer): Buffer => createHmac('sha256', key).update(text).digest();
export const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

export function xor(a: Buffer, b: Buffer): Buffer {
  const result = Buffer.allocUnsafe(a.length);
  for (let i = 0; i < a.length; i++) result[i] = (a[i] as number) ^ (b[i] as number);
  return result;
}

export const sameBytes = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);

/** From the salted password (PBKDF2 with SHA-256, 32 bytes), whose making takes milliseconds and is the caller's. */
export function keysOf(saltedPassword: Buffer, salt: Buffer, iterations: number): LoginKeys {
  return {
    clientKey: hmac(saltedPassword, 'Client Key'),
    serverKey: hmac(saltedPassword, 'Server Key'),
    salt,
    iterations,
  };
}

export function verifierOf({ clientKey, serverKey, salt, iterations }: LoginKeys): Verifier {
  return { salt, iterations, storedKey: sha256(clientKey), serverKey };
}

const VERIFIER = /^SCRAM-SHA-256\$([0-9]{1,9}):([A-Za-z0-9+/=]{1,1024})\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})$/;

/**
 * Reads `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
 *
 * @throws WireError `malformed`; its text has nothing of the secret
 */
export function parseVerifier(text: string): Verifier {
  const found = VERIFIER.exec(text);
  if (found === null) throw new WireError('malformed', 'a stored password is no SCRAM-SHA-256 verifier');
  const [, iterations = '', salt = '', storedKey = '', serverKey = ''] = found;
  const count = Number(iterations);
  if (count < 1 || count > MAX_ITERATIONS) throw new WireError('malformed', 'a verifier has no sensible iterations');
  return {
    iterations: count,
    salt: Buffer.from(salt, 'base64'),
    storedKey: Buffer.from(storedKey, 'base64'),
    serverKey: Buffer.from(serverKey, 'base64'),
  };
}

export function formatVerifier({ iterations, salt, storedKey, serverKey }: Verifier): string {
  const parts = [salt, storedKey, serverKey].map((each) => each.toString('base64'));
  return `SCRAM-SHA-256$${iterations}:${parts[0]}$${parts[1]}:${parts[2]}`;
}
