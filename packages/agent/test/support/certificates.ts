/** Certificates for one test, made with the openssl program. */

import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const newKey = (file: string) => [
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:prime256v1',
  '-nodes',
  '-keyout',
  file,
];

export interface CertificateFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority named `name` and one certificate of it for 127.0.0.1, in `folder`. */
export async function makeCertificates(
  folder: string,
  name: string,
  signedBy = name,
  subject = `/CN=${name}`,
): Promise<CertificateFiles> {
  const at = (suffix: string) => join(folder, `${name}${suffix}`);
  const openssl = (args: readonly string[]) => run('openssl', args, { timeout: 30_000 });
  const days = ['-days', '2'];
  const authority = (suffix: string) => join(folder, `${signedBy}${suffix}`);
  const made = ['-out', at('-ca.pem'), '-subj', `/CN=${name} CA`, ...days];
  if (signedBy === name) await openssl(['req', '-x509', ...newKey(at('-ca.key')), ...made]);
  await writeFile(at('.ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  await openssl(['req', ...newKey(at('.key')), '-out', at('.csr'), '-subj', subject]);
  const signer = [
    '-CA',
    authority('-ca.pem'),
    '-CAkey',
    authority('-ca.key'),
    '-CAcreateserial',
    '-extfile',
    at('.ext'),
  ];
  await openssl(['x509', '-req', '-in', at('.csr'), '-out', at('.pem'), ...days, ...signer]);
  return { ca: authority('-ca.pem'), cert: at('.pem'), key: at('.key') };
}
