import type { CertificateView } from '@understudy/certs';

/** All names of a certificate in one line; empty when it has none. */
export const namesText = ({ hosts, addresses }: CertificateView['names']): string =>
  [...hosts, ...addresses].join(', ');

/** A certificate as `--json` shows it: times in ISO 8601. */
export function certificateJson({ notBeforeWallMs, notAfterWallMs, ...view }: CertificateView): object {
  return {
    ...view,
    notBefore: new Date(notBeforeWallMs).toISOString(),
    notAfter: new Date(notAfterWallMs).toISOString(),
  };
}
