import { isIP } from 'node:net';
import type { Target } from './target.ts';

/**
 * Whether the token may go to this address: within this machine, to one that the operator named over https, to any other only when the
 * cluster's own authority vouches for it. Over plain HTTP elsewhere only when the operator said so.
 */
export function mayCarryToken(address: string, target: Pick<Target, 'urls' | 'tls' | 'insecure'>): boolean {
  const url = new URL(address);
  if (isThisMachine(url.hostname) || target.insecure) return true;
  return url.protocol === 'https:' && (target.urls.includes(url.origin) || target.tls.ca !== undefined);
}

function isThisMachine(hostname: string): boolean {
  // The parser has written it in one way; a name that only begins like an address is none.
  return hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
}
