import { authorityPaths, type PairPaths, pairPaths, readText } from './files.ts';
import { type CertificateView, EXPIRES_SOON_MS, inspect, parsed } from './inspect.ts';
import { type AuthorityRequest, type CertificateRequest, type Made, makeAuthority, makeCertificate } from './make.ts';
import { checkedNames, type Names } from './names.ts';

/** What was found or made, and where. */
export type Ensured = Made | { readonly outcome: 'kept'; readonly files: PairPaths; readonly view: CertificateView };

/**
 * An authority that is there, made where there is none, renewed when it ends within 30 days. Nothing is signed when nothing has to be,
 * so that its key may be kept elsewhere until then.
 *
 * @throws CertError as {@link makeAuthority}
 */
export async function ensureAuthority(
  request: Omit<AuthorityRequest, 'existing'>,
  nowWallMs = Date.now(),
): Promise<Ensured> {
  const files = authorityPaths(request.folder);
  const text = await readText(files.cert);
  const view = text === null ? undefined : inspect(text, files.cert)[0];
  if (view !== undefined && lasts(view, nowWallMs)) return { outcome: 'kept', files, view };
  return makeAuthority({ ...request, existing: 'renew' });
}

/**
 * A certificate of an authority with at least the given names: kept when it is good, renewed when it ends within 30 days or lacks a
 * name, made anew when the authority is another one.
 *
 * @throws CertError as {@link makeCertificate}
 */
export async function ensureCertificate(
  request: Omit<CertificateRequest, 'existing'>,
  nowWallMs = Date.now(),
): Promise<Ensured> {
  const files = pairPaths(request.prefix);
  const [text, key] = await Promise.all([readText(files.cert), readText(files.key)]);
  if (text === null || key === null) {
    return makeCertificate({ ...request, existing: key === null ? 'replace' : 'renew' });
  }
  const authority = authorityPaths(request.authority).cert;
  const ca = parsed((await readText(authority)) ?? '', authority);
  const certificate = parsed(text, files.cert);
  if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) {
    return makeCertificate({ ...request, existing: 'replace' });
  }
  const [view] = inspect(text, files.cert);
  const names = checkedNames(request.names ?? { hosts: [], addresses: [] });
  if (view !== undefined && lasts(view, nowWallMs) && covers(certificate, names)) {
    return { outcome: 'kept', files, view };
  }
  return makeCertificate({ ...request, existing: 'renew' });
}

const lasts = (view: CertificateView, nowWallMs: number): boolean => view.notAfterWallMs - nowWallMs >= EXPIRES_SOON_MS;

function covers(certificate: ReturnType<typeof parsed>, { hosts, addresses }: Names): boolean {
  return (
    hosts.every((host) => certificate.checkHost(host) !== undefined) &&
    addresses.every((address) => certificate.checkIP(address) !== undefined)
  );
}
