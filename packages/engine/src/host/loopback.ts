import { isIP } from 'node:net';

/** Whether an address leads nowhere but to this machine. A name other than `localhost` may lead anywhere. */
export function isLoopback(host: string): boolean {
  const bare = host.toLowerCase().replace(/^::ffff:/, '');
  if (bare === 'localhost' || bare === '::1') return true;
  return isIP(bare) === 4 && bare.startsWith('127.');
}
