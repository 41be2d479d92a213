/** `host:port` as people write it in configuration files. */

import { bareHost, isLoopback } from '@understudy/engine/host';
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

export { bareHost, isLoopback };

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
