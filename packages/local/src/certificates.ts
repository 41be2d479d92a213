import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from '@understudy/base';
import {
  authorityPaths,
  CertError,
  type Ensured,
  ensureAuthority,
  ensureCertificate,
  LOCALHOST,
} from '@understudy/certs';
import { LocalError } from './errors.ts';
import { makeFolder } from './files.ts';
import type { ClusterPaths } from './folder.ts';
import type { ClusterState } from './state.ts';

/** Files that a node's configuration names: its authority's certificate, its own, and its key. */
export interface NodeCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What a certificate is good for. Each has an authority of its own: the database's key, which its superuser can read, opens nothing else. */
export type Purpose = 'database' | 'api' | 'etcd';

export type CertificatesOf = Readonly<Record<Purpose, ReadonlyMap<string, NodeCertificates>>>;

/** A node or a member of etcd, and the address at which it is reached. */
export interface Named {
  readonly name: string;
  readonly address: string;
}

const folderOf = (paths: ClusterPaths, purpose: Purpose): string =>
  purpose === 'database' ? paths.tls : join(paths.tls, purpose);

const authorityFolder = (paths: ClusterPaths, purpose: Purpose): string => join(folderOf(paths, purpose), 'ca');

/** The certificate of the cluster's own authority for a purpose; null for a cluster that encrypts nothing. */
export function authorityFile(
  paths: ClusterPaths,
  { tls }: Pick<ClusterState, 'tls'>,
  purpose: Purpose,
): string | null {
  return tls === 'off' ? null : authorityPaths(authorityFolder(paths, purpose)).cert;
}

/** Its text. @throws LocalError `CERTIFICATES_FAILED` */
export async function authorityText(
  paths: ClusterPaths,
  state: Pick<ClusterState, 'tls'>,
  purpose: Purpose,
): Promise<string | null> {
  const file = authorityFile(paths, state, purpose);
  if (file === null) return null;
  return readFile(file, 'utf8').catch((cause: unknown) => {
    const text = `The authority of the cluster's certificates cannot be read: ${reasonOf(cause)}.`;
    throw new LocalError('CERTIFICATES_FAILED', text, { next: 'It is made by: understudy up.', cause });
  });
}

/**
 * Makes the cluster's own authorities and the certificates that they sign, or renews what ends soon or names another address. Called
 * before anything of the cluster runs.
 *
 * @param holders who gets a certificate for which purpose
 * @returns the files of each by purpose and name, and a sentence for each renewal
 * @throws LocalError `CERTIFICATES_FAILED`
 */
export async function ensureCertificates(
  paths: ClusterPaths,
  cluster: string,
  holders: Readonly<Record<Purpose, readonly Named[]>>,
): Promise<{ readonly of: CertificatesOf; readonly notices: readonly string[] }> {
  const notices: string[] = [];
  const note = (whose: string, { outcome, view }: Ensured): void => {
    const until = new Date(view.notAfterWallMs).toISOString().slice(0, 10);
    if (outcome === 'renewed') notices.push(`Renewed the certificate of ${whose}; it holds until ${until}.`);
  };
  await makeFolder(paths.tls, 0o700);
  try {
    const ensure = (purpose: Purpose): Promise<ReadonlyMap<string, NodeCertificates>> =>
      ensureFor(purpose, paths, cluster, holders[purpose], note);
    const of = { database: await ensure('database'), api: await ensure('api'), etcd: await ensure('etcd') };
    return { of, notices };
  } catch (error) {
    if (!(error instanceof CertError)) throw error;
    const { retry } = error;
    const next = `${error.next} Or remove ${paths.tls}: certificates are made anew at the next start.`.trimStart();
    throw new LocalError('CERTIFICATES_FAILED', error.problem, { retry, next, cause: error });
  }
}

async function ensureFor(
  purpose: Purpose,
  paths: ClusterPaths,
  cluster: string,
  holders: readonly Named[],
  note: (whose: string, ensured: Ensured) => void,
): Promise<ReadonlyMap<string, NodeCertificates>> {
  const of = new Map<string, NodeCertificates>();
  if (holders.length === 0) return of;
  const folder = authorityFolder(paths, purpose);
  const name = `understudy ${cluster}`.slice(0, 50) + (purpose === 'database' ? '' : ` ${purpose}`);
  const authority = await ensureAuthority({ folder, name });
  note(`the authority for the ${purpose}`, authority);
  for (const { name, address } of holders) {
    const addresses = [...new Set([address, ...LOCALHOST.addresses])];
    const made = await ensureCertificate({
      authority: folder,
      kind: 'node',
      name,
      names: { hosts: LOCALHOST.hosts, addresses },
      prefix: join(folderOf(paths, purpose), name),
    });
    note(`${name} (${purpose})`, made);
    of.set(name, { ca: authority.files.cert, ...made.files });
  }
  return of;
}
