import { createPrivateKey } from 'node:crypto';
import { dirname } from 'node:path';
import { CertError } from './errors.ts';
import {
  authorityPaths,
  makePrivateFolder,
  type PairPaths,
  pairPaths,
  putFile,
  readText,
  refuseExposed,
} from './files.ts';
import { type CertificateView, inspect, parsed, validityOf } from './inspect.ts';
import { checkedDays, checkedName, checkedNames, type NamedBy, type Names } from './names.ts';
import type { Signer } from './x509.ts';

/** What becomes of files that are there: nothing (an error), a new certificate for the same key, or both anew. */
export type Existing = 'refuse' | 'renew' | 'replace';

export const DEFAULT_AUTHORITY_DAYS = 3650;
/** As long as the stricter clients accept for certificates of a private authority. */
export const DEFAULT_DAYS = 825;

export interface AuthorityRequest {
  readonly folder: string;
  /** Its common name; a renewed one keeps the one that it has. */
  readonly name?: string;
  readonly days?: number;
  readonly existing?: Existing;
}

export interface CertificateRequest {
  /** Folder of the authority that signs. */
  readonly authority: string;
  /** `node`: for servers, agents and members of the store, who are also clients of each other. */
  readonly kind: 'node' | 'client';
  readonly name: string;
  /** Where that name goes; a renewed one keeps it where it is. `organization` (clients only): for etcd with users. Default: common name. */
  readonly namedBy?: NamedBy;
  /** By what it is reached; a renewed one keeps what it has when nothing is given. Empty for a client. */
  readonly names?: Names;
  readonly days?: number;
  /** `PREFIX.pem` and `PREFIX.key` are made. */
  readonly prefix: string;
  readonly existing?: Existing;
}

/** What was made, and where. */
export interface Made {
  readonly outcome: 'made' | 'renewed';
  readonly files: PairPaths;
  readonly view: CertificateView;
}

/**
 * Makes an authority: `ca.pem` and `ca.key` in a folder for its owner alone. A renewed one has the same key and name, so that what it
 * signed stays good.
 *
 * @throws CertError `CERT_EXISTS`, `CERT_INPUT`, `CERT_EXPOSED`, `CERT_MISMATCH`, `CERT_UNREADABLE`, `CERT_WRITE_FAILED`
 */
export async function makeAuthority(request: AuthorityRequest): Promise<Made> {
  const files = authorityPaths(request.folder);
  const lifeMs = checkedDays(request.days ?? DEFAULT_AUTHORITY_DAYS);
  const asked = checkedName(request.name ?? 'understudy cluster authority');
  const present = await presentPair(files, request.existing ?? 'refuse');
  await makePrivateFolder(dirname(files.key));
  if (present.key !== null) await refuseExposed(files.key);
  const subject = present.view?.subject ?? asked;
  const { newKey, signAuthority } = await import('./x509.ts');
  const key = present.key ?? (await newKey());
  const cert = await signAuthority({ subject, key, notAfterWallMs: Date.now() + lifeMs });
  return write(files, { key, cert }, present);
}

/**
 * Makes a certificate and its key, signed by an authority. A renewed one has the same key: only one file is replaced, so that there
 * is no moment in which key and certificate do not fit. None holds longer than its authority's own certificate.
 *
 * @throws CertError `CERT_EXISTS`, `CERT_INPUT`, `CERT_EXPOSED`, `CERT_MISMATCH`, `CERT_UNREADABLE`, `CERT_WRITE_FAILED`
 */
export async function makeCertificate(request: CertificateRequest): Promise<Made> {
  const files = pairPaths(request.prefix);
  const lifeMs = checkedDays(request.days ?? DEFAULT_DAYS);
  const subject = checkedName(request.name);
  const given = checkedNames(request.names ?? { hosts: [], addresses: [] });
  const { signer, view: authority } = await loadSigner(request.authority);
  const present = await presentPair(files, request.existing ?? 'refuse');
  if (present.view !== null && present.view.kind !== request.kind) {
    const text = `${files.cert} is the certificate of ${article(present.view.kind)}, not of ${article(request.kind)}.`;
    throw new CertError('CERT_MISMATCH', text, { next: 'Choose another place for the new one.' });
  }
  const isGiven = given.hosts.length + given.addresses.length > 0;
  const names = isGiven ? given : (present.view?.names ?? given);
  if (request.kind === 'node' && names.hosts.length + names.addresses.length === 0) {
    throw new CertError('CERT_INPUT', `By what others reach ${subject} is not said.`, {
      next: 'Give a host name or an address.',
    });
  }
  const { newKey, signLeaf } = await import('./x509.ts');
  const key = present.key ?? (await newKey());
  const notAfterWallMs = Math.min(Date.now() + lifeMs, authority.notAfterWallMs);
  const namedBy = request.namedBy ?? present.view?.namedBy ?? 'common-name';
  const cert = await signLeaf({ subject, key, notAfterWallMs }, request.kind, names, signer, namedBy);
  return write(files, { key, cert }, present);
}

const article = (kind: CertificateView['kind']): string => (kind === 'authority' ? 'an authority' : `a ${kind}`);

async function loadSigner(folder: string): Promise<{ readonly signer: Signer; readonly view: CertificateView }> {
  const files = authorityPaths(folder);
  const [cert, key] = await Promise.all([readText(files.cert), readText(files.key)]);
  if (cert === null || key === null) {
    const text = `${cert === null ? files.cert : files.key} is not there.`;
    throw new CertError('CERT_UNREADABLE', text, {
      retry: 'safe',
      next: 'Make an authority first, or name the folder of yours.',
    });
  }
  await refuseExposed(files.key);
  const view = viewOfPair(files, cert, key);
  if (view.kind !== 'authority') {
    throw new CertError('CERT_MISMATCH', `${files.cert} is no authority.`, { next: 'Name the folder of one.' });
  }
  if (validityOf(view, Date.now()).kind === 'expired') {
    throw new CertError('CERT_MISMATCH', `${files.cert} has expired.`, { next: 'Renew the authority first.' });
  }
  return { signer: { cert, key }, view };
}

/** What is there and stays: with `replace`, nothing. A key alone is what a crash leaves; it is used. */
interface Present {
  readonly key: string | null;
  readonly view: CertificateView | null;
}

async function presentPair(files: PairPaths, existing: Existing): Promise<Present> {
  const [cert, key] = await Promise.all([readText(files.cert), readText(files.key)]);
  if (existing === 'replace' || (cert === null && key === null)) return { key: null, view: null };
  if (existing === 'refuse') {
    const text = `${cert === null ? files.key : files.cert} is there already, and nothing was changed.`;
    throw new CertError('CERT_EXISTS', text, {
      next: 'Add --renew for a new certificate with the same key, --force for both anew.',
    });
  }
  if (key === null) {
    const text = `${files.key} is missing, so ${files.cert} cannot be renewed.`;
    throw new CertError('CERT_UNREADABLE', text, { next: 'Add --force instead to make both anew.' });
  }
  return { key, view: cert === null ? null : viewOfPair(files, cert, key) };
}

function viewOfPair(files: PairPaths, cert: string, key: string): CertificateView {
  const [view] = inspect(cert, files.cert);
  if (view !== undefined && parsed(cert, files.cert).checkPrivateKey(privateKey(files.key, key))) return view;
  throw new CertError('CERT_MISMATCH', `${files.key} does not belong to ${files.cert}.`, {
    next: 'Make both anew with --force.',
  });
}

function privateKey(path: string, pem: string) {
  try {
    return createPrivateKey(pem);
  } catch {
    // The library's own message may describe what it read, which is secret.
    throw new CertError('CERT_UNREADABLE', `${path} is not a key in PEM form.`, { next: 'Make it anew with --force.' });
  }
}

async function write(files: PairPaths, fresh: Signer, present: Present): Promise<Made> {
  if (present.key === null) await putFile(files.key, fresh.key, 0o600);
  await putFile(files.cert, fresh.cert, 0o644);
  return { outcome: present.view === null ? 'made' : 'renewed', files, view: viewOfPair(files, fresh.cert, fresh.key) };
}
