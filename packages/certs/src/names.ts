import { isIP } from 'node:net';
import { CertError } from './errors.ts';

/** What a certificate says its holder is reached by. */
export interface Names {
  /** DNS names. */
  readonly hosts: readonly string[];
  /** IPv4 and IPv6 addresses. */
  readonly addresses: readonly string[];
}

/** Where in a subject the holder's name is. Without a common name a certificate names no user of etcd, whose HTTP gateway asks for that. */
export type NamedBy = 'common-name' | 'organization';

const hostLabel = /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/;
const commonName = /^[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-])?$/;
const dayMs = 86_400_000;

/** What "this machine" is called, added only where somebody asks for it. */
export const LOCALHOST: Names = { hosts: ['localhost'], addresses: ['127.0.0.1', '::1'] };

/** @throws CertError `CERT_INPUT` for a name that cannot be a common name */
export function checkedName(name: string): string {
  if (commonName.test(name)) return name;
  throw new CertError('CERT_INPUT', `"${name}" cannot name a certificate.`, {
    next: 'Use 1 to 64 letters, digits, " ", ".", "_" or "-".',
  });
}

/**
 * Checks names and leaves out those that are given twice.
 *
 * @throws CertError `CERT_INPUT` that names the wrong one
 */
export function checkedNames({ hosts, addresses }: Names): Names {
  for (const host of hosts) {
    if (isIP(host) !== 0)
      throw new CertError('CERT_INPUT', `"${host}" is an address, not a host name.`, {
        next: 'Give it as an IP address.',
      });
    const isRight = host.length <= 253 && host.split('.').every((label) => hostLabel.test(label));
    if (!isRight)
      throw new CertError('CERT_INPUT', `"${host}" is not a host name.`, { next: 'Write it like db1.example.' });
  }
  for (const address of addresses) {
    if (isIP(address) === 0)
      throw new CertError('CERT_INPUT', `"${address}" is not an IP address.`, {
        next: 'Write it like 10.0.0.1 or fd00::1.',
      });
  }
  return { hosts: [...new Set(hosts.map((host) => host.toLowerCase()))], addresses: [...new Set(addresses)] };
}

/** @returns the days in ms. @throws CertError `CERT_INPUT` */
export function checkedDays(days: number): number {
  if (Number.isInteger(days) && days >= 1 && days <= 36_500) return days * dayMs;
  throw new CertError('CERT_INPUT', `${days} days are not possible.`, {
    next: 'Choose a whole number from 1 to 36500.',
  });
}
