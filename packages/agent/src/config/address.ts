/** `host:port` as people write it in configuration files. */

import { isIP } from 'node:net';
import { z } from 'zod';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Reads `127.0.0.1:8008`, `db1.example:5432` or `[::1]:8008`; null when it is not an address with a port. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  return port <= 65_535 ? { host, port } : null;
}

export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** IPv6 in brackets, as URLs have it, without them. */
export const bareHost = (host: string): string => (/^\[.*\]$/.test(host) ? host.slice(1, -1) : host);

/** Whether this is an address of the machine itself. Names other than `localhost` are not: what they lead to, others decide. */
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

/** An address with a port above 0, as a setting. */
export const addressSchema = z.string().transform((text, context): Address => {
  const address = parseAddress(text);
  if (address !== null && address.port > 0) return address;
  context.addIssue({
    code: 'custom',
    message: 'must be "host:port" with a port from 1 to 65535, e.g. "127.0.0.1:8008"',
  });
  return z.NEVER;
});
