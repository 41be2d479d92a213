// The one place that knows the X.509 library. It is loaded only when something is signed: a running agent never needs it.
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { NamedBy, Names } from './names.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Clocks of other hosts may be behind: a certificate holds from a day before it was made. */
const backdatedMs = 86_400_000;

/** What is to be signed. Names are checked already. */
export interface Signing {
  readonly subject: string;
  /** Private key of the holder, PKCS#8 PEM. */
  readonly key: string;
  readonly notAfterWallMs: number;
}

/** Who signs. */
export interface Signer {
  readonly cert: string;
  readonly key: string;
}

/** A new P-256 key as PKCS#8 PEM. */
export async function newKey(): Promise<string> {
  const pair = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', pair.privateKey)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
}

/** Signs the certificate of an authority with its own key. @returns PEM */
export async function signAuthority({ subject, key, notAfterWallMs }: Signing): Promise<string> {
  const keys = await importPair(key);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [subject] }],
    keys,
    serialNumber: newSerial(),
    ...validity(notAfterWallMs),
    signingAlgorithm: algorithm,
    extensions: [
      // Its certificates can sign no others.
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pemOf(certificate);
}

/** Signs a certificate of a node (server and client) or of a client. @returns PEM */
export async function signLeaf(
  signing: Signing,
  kind: 'node' | 'client',
  names: Names,
  signer: Signer,
  namedBy: NamedBy = 'common-name',
): Promise<string> {
  const issuer = new X509Certificate(signer.cert);
  const [{ publicKey }, { privateKey: signingKey }] = await Promise.all([
    importPair(signing.key),
    importPair(signer.key),
  ]);
  const certificate = await X509CertificateGenerator.create({
    subject: [namedBy === 'common-name' ? { CN: [signing.subject] } : { O: [signing.subject] }],
    issuer: issuer.subjectName,
    publicKey,
    signingKey,
    serialNumber: newSerial(),
    ...validity(signing.notAfterWallMs),
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(
        kind === 'node' ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth] : [ExtendedKeyUsage.clientAuth],
      ),
      ...alternativeNames(names),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return pemOf(certificate);
}

function alternativeNames({ hosts, addresses }: Names): Extension[] {
  const all = [
    ...hosts.map((value) => ({ type: 'dns' as const, value })),
    ...addresses.map((value) => ({ type: 'ip' as const, value })),
  ];
  return all.length === 0 ? [] : [new SubjectAlternativeNameExtension(all)];
}

const pemOf = (certificate: X509Certificate): string => `${certificate.toString('pem')}\n`;

/** Positive, and random enough that two authorities never give the same (RFC 5280, 4.1.2.2). */
const newSerial = (): string => `01${randomBytes(15).toString('hex')}`;

function validity(notAfterWallMs: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(Date.now() - backdatedMs), notAfter: new Date(notAfterWallMs) };
}

async function importPair(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const own = createPrivateKey(pem);
  const { subtle } = webcrypto;
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey('pkcs8', own.export({ type: 'pkcs8', format: 'der' }), algorithm, true, ['sign']),
    subtle.importKey('spki', createPublicKey(own).export({ type: 'spki', format: 'der' }), algorithm, true, ['verify']),
  ]);
  return { privateKey, publicKey };
}
