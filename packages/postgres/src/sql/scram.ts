import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);
const iterations = 4096;

async function verifier(password: string, salt: Buffer, rounds: number): Promise<string> {
  const salted = await derive(password, salt, rounds, 32, 'sha256');
  const sign = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(sign('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${rounds}:${salt.toString('base64')}$${stored}:${sign('Server Key').toString('base64')}`;
}

/**
 * What PostgreSQL stores of a password (RFC 5803). Sent instead of the password, so that no statement and no log ever holds it.
 * The passwords are generated, so they need none of SASLprep's normalisation.
 */
export function scramVerifier(password: string): Promise<string> {
  return verifier(password, randomBytes(16), iterations);
}

/** Whether `stored` was made of `password`. */
export async function matchesVerifier(password: string, stored: string): Promise<boolean> {
  const match = /^SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]+)\$/.exec(stored);
  const [, rounds, salt] = match ?? [];
  if (rounds === undefined || salt === undefined) return false;
  return (await verifier(password, Buffer.from(salt, 'base64'), Number(rounds))) === stored;
}
