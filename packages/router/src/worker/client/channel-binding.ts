import { createHash, X509Certificate } from 'node:crypto';

/**
 * What a client must have seen of the certificate (`tls-server-end-point`): its hash, with the hash of its own signature. MD5 and SHA-1 are
 * lifted to SHA-256 (RFC 5929, section 4.1).
 */
export function endPointOf(pem: string): Buffer {
  const { raw, signatureAlgorithm } = new X509Certificate(pem);
  const hash = /sha(?:384|512)/i.exec(signatureAlgorithm ?? '')?.[0].toLowerCase() ?? 'sha256';
  return createHash(hash).update(raw).digest();
}
