import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { EngineError } from '../index.ts';

/** What a member's own certificate says of the member. */
export interface OwnCertificate {
  /**
   * `name`: the certificate is the member's by its subject, which is `CN=` and the name of the member, as `understudy cert node` makes it.
   * Then those of the others are, and a member cannot show itself as another. `authority`: it only says who signed it.
   */
  readonly identity: 'name' | 'authority';
  /** Whether it is, and the configuration says that this is not to be relied on yet (`engine.tls.identity: authority`). */
  readonly isHeldBack: boolean;
  /** Whether it is a certificate for this address. */
  covers(host: string): boolean;
}

/**
 * @param wanted `authority`: names of certificates are not relied on, whatever this one says; for as long as members are given new ones
 * @throws EngineError `ENGINE_DATA_REFUSED` when it is no certificate.
 */
export function ownCertificate(
  pem: Buffer | string,
  member: string,
  wanted: OwnCertificate['identity'] = 'name',
): OwnCertificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (error) {
    const text = 'The file of engine.tls.cert is not a certificate in PEM form.';
    throw new EngineError('ENGINE_DATA_REFUSED', text, {
      retry: 'safe',
      next: 'Correct the path, or make it anew.',
      cause: error,
    });
  }
  const isNamed = certificate.subject === `CN=${member}`;
  return {
    identity: isNamed ? wanted : 'authority',
    isHeldBack: isNamed && wanted === 'authority',
    covers: (host) => (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined,
  };
}

/** What stands about the certificates of the links between members, each with what to do. @param host by which the others reach this member. */
export function certificateWarnings(
  own: OwnCertificate,
  verify: 'ca' | 'full',
  host: string | undefined,
): readonly string[] {
  const warnings: string[] = [];
  if (verify === 'ca') {
    const text = 'engine.tls.verify is "ca": whoever has any certificate of the authority can pose as any member.';
    warnings.push(`${text} Make certificates that name the addresses of their members, and remove the setting.`);
  }
  if (host !== undefined && !own.covers(host)) {
    const text = `The certificate of this member does not name ${host}, by which the others reach it: they refuse it as their source.`;
    warnings.push(`${text} Make one that does (\`understudy cert node --renew\` with --host or --ip).`);
  }
  if (own.isHeldBack) {
    const text =
      'engine.tls.identity is "authority": a member that has the replication password could acknowledge in the name of another.';
    warnings.push(
      `${text} Remove the setting once the certificate of every member names it (CN=name and nothing else).`,
    );
  } else if (own.identity === 'authority') {
    const text = 'The subject of the certificate of this member is not its name (CN=name and nothing else).';
    warnings.push(`${text} So a member that has the replication password could acknowledge in the name of another.`);
  }
  return warnings;
}
