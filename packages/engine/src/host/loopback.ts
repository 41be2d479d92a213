import { isIP } from 'node:net';

/** IPv6 in brackets, as URLs have it, without them. */
export const bareHost = (host: string): string => (/^\[.*\]$/.test(host) ? host.slice(1, -1) : host);

/** Whether an address leads nowhere but to this machine. A name other than `localhost` may lead anywhere. */
export function isLoopback(host: string): boolean {
  const bare = bareHost(host).toLowerCase();
  if (bare === 'localhost') return true;
  switch (isIP(bare)) {
    case 4:
      return bare.startsWith('127.');
    case 6:
      return isLoopback6(bare);
    default:
      return false;
  }
}

/** `::1` and `::ffff:127.0.0.1`, however they are written. */
function isLoopback6(address: string): boolean {
  // The parser of URLs knows all ways to write one, and has one way itself.
  const url = `http://[${address}]`;
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return hostname === '[::1]' || /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\]$/.test(hostname);
}
