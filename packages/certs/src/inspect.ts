import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { codeOf, reasonOf } from '@understudy/base';
import { CertError } from './errors.ts';
import { readText } from './files.ts';
import type { NamedBy, Names } from './names.ts';

/** A certificate that ends sooner than this is spoken of, and renewed by those who can: 30 days. */
export const EXPIRES_SOON_MS = 30 * 86_400_000;

/** How a certificate stands at some moment. `leftMs` is time until it ends. */
export type Validity =
  | { readonly kind: 'valid'; readonly leftMs: number }
  | { readonly kind: 'expires-soon'; readonly leftMs: number }
  | { readonly kind: 'expired'; readonly agoMs: number }
  | { readonly kind: 'not-yet'; readonly inMs: number };

/** What a certificate says. Times are ms since 1970. */
export interface CertificateView {
  /** Common name of the holder (the whole subject where there is none), and of who signed it. */
  readonly subject: string;
  readonly issuer: string;
  readonly namedBy: NamedBy;
  /** `node`: server and client. */
  readonly kind: 'authority' | 'node' | 'server' | 'client' | 'unrestricted';
  readonly names: Names;
  readonly notBeforeWallMs: number;
  readonly notAfterWallMs: number;
  readonly serial: string;
  /** SHA-256 of the certificate. */
  readonly fingerprint: string;
}

/**
 * Reads the certificates of a PEM file, in order.
 *
 * @throws CertError `CERT_UNREADABLE` when there is no file, or no certificate in it
 */
export async function inspectFile(file: string): Promise<readonly CertificateView[]> {
  const text = await readText(file);
  if (text === null)
    throw new CertError('CERT_UNREADABLE', `There is no file ${file}.`, { retry: 'safe', next: 'Correct the path.' });
  return inspect(text, file);
}

/** The same for a text; `source` is named in errors. */
export function inspect(pem: string, source: string): readonly CertificateView[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) {
    const isKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem);
    const next = isKey ? 'Name the .pem file beside it.' : 'Name a file with a certificate in PEM form.';
    throw new CertError('CERT_UNREADABLE', `${source} holds ${isKey ? 'a key' : 'no certificate'}.`, { next });
  }
  return blocks.map((block) => viewOf(parsed(block, source)));
}

/** The first certificate of a text as Node reads it. @throws CertError `CERT_UNREADABLE` */
export function parsed(pem: string, source: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    const text = `${source} is not a certificate (${codeOf(error) ?? reasonOf(error)}).`;
    throw new CertError('CERT_UNREADABLE', text, { next: 'Name a file with a certificate in PEM form.', cause: error });
  }
}

/** How a certificate stands at `nowWallMs`. */
export function validityOf(view: CertificateView, nowWallMs: number): Validity {
  const leftMs = view.notAfterWallMs - nowWallMs;
  if (leftMs <= 0) return { kind: 'expired', agoMs: nowWallMs - view.notAfterWallMs };
  if (view.notBeforeWallMs > nowWallMs) return { kind: 'not-yet', inMs: view.notBeforeWallMs - nowWallMs };
  return { kind: leftMs < EXPIRES_SOON_MS ? 'expires-soon' : 'valid', leftMs };
}

function viewOf(certificate: X509Certificate): CertificateView {
  return {
    subject: commonNameOf(certificate.subject),
    issuer: commonNameOf(certificate.issuer),
    namedBy: hasCommonName(certificate.subject) ? 'common-name' : 'organization',
    kind: kindOf(certificate),
    names: namesOf(certificate.subjectAltName ?? ''),
    notBeforeWallMs: Date.parse(certificate.validFrom),
    notAfterWallMs: Date.parse(certificate.validTo),
    serial: certificate.serialNumber,
    fingerprint: certificate.fingerprint256,
  };
}

/** Object identifiers of the extended key usages (RFC 5280, 4.2.1.12). */
const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';

function kindOf(certificate: X509Certificate): CertificateView['kind'] {
  if (certificate.ca) return 'authority';
  // Node's types say that there always are some.
  const usages: readonly string[] | undefined = certificate.keyUsage;
  if (usages === undefined) return 'unrestricted';
  if (usages.includes(serverAuth)) return usages.includes(clientAuth) ? 'node' : 'server';
  return usages.includes(clientAuth) ? 'client' : 'unrestricted';
}

const hasCommonName = (name: string | undefined): boolean => /^CN=/m.test(name ?? '');

const commonNameOf = (name: string | undefined): string => /^CN=(.*)$/m.exec(name ?? '')?.[1] ?? name ?? '';

/** Node writes `DNS:db1.example, IP Address:10.0.0.1`; names with a comma are quoted there, and are none of ours. */
function namesOf(text: string): Names {
  const parts = text.split(', ');
  const after = (prefix: string): string[] =>
    parts.flatMap((part) => (part.startsWith(prefix) ? [part.slice(prefix.length)] : []));
  return { hosts: after('DNS:'), addresses: after('IP Address:').filter((address) => isIP(address) !== 0) };
}
