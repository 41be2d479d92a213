/** A certificate authority for one test, made with the openssl program. */

import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface CertificateFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export class Authority {
  readonly caFile: string;
  readonly #folder: string;
  readonly #keyFile: string;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.caFile = join(folder, `${name}.crt`);
    this.#keyFile = join(folder, `${name}.key`);
  }

  static async create(folder: string, name: string): Promise<Authority> {
    const authority = new Authority(folder, name);
    const subject = ['-subj', `/CN=${name}`, '-days', '2'];
    await openssl(['req', '-x509', ...newKey(authority.#keyFile), '-out', authority.caFile, ...subject]);
    return authority;
  }

  /**
   * A certificate for 127.0.0.1 that serves and that clients can show. etcd's own JSON gateway shows the server's
   * certificate as its client certificate, so a server's has to be both as well.
   */
  async issue(name: string, subject = `/CN=${name}`): Promise<CertificateFiles> {
    const [keyFile, certFile] = [join(this.#folder, `${name}.key`), join(this.#folder, `${name}.crt`)];
    const [request, extensions] = [join(this.#folder, `${name}.csr`), join(this.#folder, `${name}.ext`)];
    await writeFile(extensions, 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
    await openssl(['req', ...newKey(keyFile), '-out', request, '-subj', subject]);
    const signer = ['-CA', this.caFile, '-CAkey', this.#keyFile, '-CAcreateserial', '-extfile', extensions];
    await openssl(['x509', '-req', '-in', request, '-out', certFile, '-days', '2', ...signer]);
    return { caFile: this.caFile, certFile, keyFile };
  }
}

function newKey(keyFile: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
}

async function openssl(args: readonly string[]): Promise<void> {
  await run('openssl', args, { timeout: 30_000 });
}
