import { createHash, randomBytes } from 'node:crypto';
import type { Flavour } from '../programs.ts';

/**
 * What a server stores of a password, made here: a statement with it in the place of the password shows the password to no log, no list of
 * processes and no other member. MySQL: `caching_sha2_password`; MariaDB: `mysql_native_password`.
 */
export function verifierOf(flavour: Flavour, password: string): string {
  return flavour === 'mariadb' ? nativeHash(password) : cachingSha2(password, newSalt());
}

/** Whether `stored` was made of `password`. */
export function matches(flavour: Flavour, stored: string, password: string): boolean {
  if (flavour === 'mariadb') return stored === nativeHash(password);
  const salt = stored.slice(prefix.length, prefix.length + saltLength);
  return stored.startsWith(prefix) && stored === cachingSha2(password, salt);
}

const sha1 = (bytes: string | Buffer): Buffer => createHash('sha1').update(bytes).digest();

const nativeHash = (password: string): string => `*${sha1(sha1(password)).toString('hex').toUpperCase()}`;

/** The number of rounds in thousands, in hexadecimal. */
const prefix = '$A$005$';
const rounds = 5000;
const saltLength = 20;
const letters = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function newSalt(): string {
  return [...randomBytes(saltLength)].map((byte) => letters[byte % letters.length]).join('');
}

function cachingSha2(password: string, salt: string): string {
  return `${prefix}${salt}${sha256Crypt(Buffer.from(password), Buffer.from(salt, 'latin1'))}`;
}

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** `bytes`, repeated and cut to `length`. */
const filled = (bytes: Buffer, length: number): Buffer => Buffer.alloc(length, bytes);

/** SHA-crypt by SHA-256 (Drepper, "Unix crypt using SHA-256 and SHA-512"), without its prefix. */
function sha256Crypt(password: Buffer, salt: Buffer): string {
  const { length } = password;
  const b = sha256(password, salt, password);
  const parts: Buffer[] = [password, salt, filled(b, length)];
  for (let bits = length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? b : password);
  let digest = sha256(...parts);
  const p = filled(sha256(...Array.from({ length }, () => password)), length);
  const s = filled(sha256(...Array.from({ length: 16 + (digest[0] ?? 0) }, () => salt)), salt.length);
  for (let round = 0; round < rounds; round++) {
    const isOdd = round % 2 === 1;
    digest = sha256(
      isOdd ? p : digest,
      ...(round % 3 === 0 ? [] : [s]),
      ...(round % 7 === 0 ? [] : [p]),
      isOdd ? digest : p,
    );
  }
  return encoded(digest);
}

/** The order of the bytes, three to four characters each, of the same document. */
function encoded(digest: Buffer): string {
  let text = '';
  const take = (bits: number, characters: number): void => {
    for (let left = bits, n = 0; n < characters; n++, left >>= 6) text += letters[left & 63];
  };
  const at = (index: number): number => digest[index] ?? 0;
  for (let n = 0, [a, b, c] = [0, 10, 20]; n < 10; n++, [a, b, c] = [c + 1, a + 1, b + 1] as [number, number, number]) {
    take((at(a) << 16) | (at(b) << 8) | at(c), 4);
  }
  take((at(31) << 8) | at(30), 3);
  return text;
}
