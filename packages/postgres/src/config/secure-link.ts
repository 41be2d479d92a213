import type { PostgresOptions } from '../options.ts';

/** The first major version whose libpq can demand how it is asked for a password. */
const requireAuthSince = 16;

/**
 * What libpq demands of the other end of a link between members (documentation of libpq, connection parameters). SCRAM alone: a server that
 * asks for the password in clear text, or for nothing, is none of ours. Over TLS the login is bound to the certificate as well, which every
 * version can demand; libpq 15 without TLS answers any question.
 *
 * @param major of the server whose libpq it is.
 */
export function secureLink(tls: PostgresOptions['tls'], major: number): Readonly<Record<string, string>> {
  const scram = major >= requireAuthSince ? { require_auth: 'scram-sha-256' } : {};
  if (tls === null) return { ...scram, sslmode: 'disable', gssencmode: 'disable' };
  return {
    ...scram,
    channel_binding: 'require',
    sslmode: `verify-${tls.verify}`,
    sslrootcert: tls.ca,
    // Shown to the upstream, which takes replication from members only.
    sslcert: tls.cert,
    sslkey: tls.key,
    gssencmode: 'disable',
  };
}
