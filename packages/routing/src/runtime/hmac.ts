import { createHmac } from 'node:crypto';
import type { Mac } from '../token/codec.ts';

const KEY_BYTES_MIN = 32;

/** HMAC-SHA-256 with `key`, which is copied. @throws RangeError when the key is shorter than 32 bytes. */
export function hmacSha256(key: Uint8Array): Mac {
  if (key.length < KEY_BYTES_MIN)
    throw new RangeError(`A token key needs ${KEY_BYTES_MIN} bytes, this one has ${key.length}.`);
  const own = Uint8Array.from(key);
  return (message) => createHmac('sha256', own).update(message).digest();
}
