import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  authorityPaths,
  CertError,
  type Ensured,
  ensureAuthority,
  ensureCertificate,
  LOCALHOST,
} from '@understudy/certs';
import { LocalError, reasonOf } from './errors.ts';
import { makeFolder } from './files.ts';
import type { ClusterPaths } from './folder.ts';
import type { ClusterState } from './state.ts';

/** Files that a node's configuration names: its authority's certificate, its own, and its key. */
export interface NodeCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const authorityFolder = (paths: ClusterPaths): string => join(paths.tls, 'ca');

/** The certificate of the cluster's own authority; null for a cluster that encrypts nothing. */
export function authorityFile(paths: ClusterPaths, { tls }: Pick<ClusterState, 'tls'>): string | null {
  return tls === 'off' ? null : authorityPaths(authorityFolder(paths)).cert;
}

/** Its text. @throws LocalError `CERTIFICATES_FAILED` */
export async function authorityText(paths: ClusterPaths, state: Pick<ClusterState, 'tls'>): Promise<string | null> {
  const file = authorityFile(paths, state);
  if (file === null) return null;
  return readFile(file, 'utf8').catch((cause: unknown) => {
    const text = `The authority of the cluster's certificates cannot be read: ${reasonOf(cause)}. It is made by: understudy up.`;
    throw new LocalError('CERTIFICATES_FAILED', text, 'unsafe', { cause });
  });
}

/**
 * Makes the cluster's own authority and a certificate for each node, or renews what ends soon or names another address. Called before
 * anything of the cluster runs.
 *
 * @param nodes names, and the addresses at which they are reached
 * @returns the files of each node by its name, and a sentence for each renewal
 * @throws LocalError `CERTIFICATES_FAILED`
 */
export async function ensureCertificates(
  paths: ClusterPaths,
  cluster: string,
  nodes: readonly { readonly name: string; readonly address: string }[],
): Promise<{ readonly of: ReadonlyMap<string, NodeCertificates>; readonly notices: readonly string[] }> {
  const of = new Map<string, NodeCertificates>();
  const notices: string[] = [];
  const note = (whose: string, { outcome, view }: Ensured): void => {
    const until = new Date(view.notAfterWallMs).toISOString().slice(0, 10);
    if (outcome === 'renewed') notices.push(`Renewed the certificate of ${whose}; it holds until ${until}.`);
  };
  await makeFolder(paths.tls, 0o700);
  const folder = authorityFolder(paths);
  try {
    const authority = await ensureAuthority({ folder, name: `understudy ${cluster}`.slice(0, 64) });
    note("the cluster's authority", authority);
    for (const { name, address } of nodes) {
      const addresses = [...new Set([address, ...LOCALHOST.addresses])];
      const names = { hosts: LOCALHOST.hosts, addresses };
      const made = await ensureCertificate({
        authority: folder,
        kind: 'node',
        name,
        names,
        prefix: join(paths.tls, name),
      });
      note(name, made);
      of.set(name, { ca: authority.files.cert, ...made.files });
    }
  } catch (error) {
    if (!(error instanceof CertError)) throw error;
    const text = `${error.message} Or remove ${paths.tls}: certificates are made anew at the next start.`;
    throw new LocalError('CERTIFICATES_FAILED', text, error.retry, { cause: error });
  }
  return { of, notices };
}
