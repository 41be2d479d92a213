/** Passwords as MD5, towards old servers only: never asked of a client. */

import { createHash } from 'node:crypto';

const md5 = (...parts: readonly (string | Buffer)[]): string => {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** Answer to AuthenticationMD5Password with its salt of four bytes. */
export function md5Answer(user: string, password: string, salt: Buffer): string {
  return md5AnswerOfSecret(`md5${md5(password, user)}`, salt);
}

/** The same from what the server stores: `md5` and 32 hexadecimal digits. */
export function md5AnswerOfSecret(secret: string, salt: Buffer): string {
  return `md5${md5(secret.slice(3), salt)}`;
}
