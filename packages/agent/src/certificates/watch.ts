/** When the certificates that this agent uses end: said by metrics, and warned of in time. */

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { NodeConfig } from '../config/node-config.ts';

/** One file with certificates. `taken`: whether a replaced file is used at once or by the next agent only. */
export interface CertificateFile {
  readonly use: 'engine' | 'engine-ca' | 'api' | 'api-ca' | 'store' | 'store-ca';
  readonly file: string;
  readonly taken: 'while-running' | 'at-start';
}

/** The first end among the certificates of a file; in ms since 1970. */
export interface CertificateEnd extends CertificateFile {
  readonly notAfterWallMs: number;
}

const dayMs = 86_400_000;
/** As many days before the end there is a warning. */
const warnDays = 30;
const lookEveryMs = 10_000;
const readWithinMs = 1_000;

/** The files with certificates that a node's configuration names. */
export function certificateFiles({ engine, api, store }: NodeConfig): readonly CertificateFile[] {
  const files: CertificateFile[] = [];
  const add = (use: CertificateFile['use'], file: string | undefined, taken: CertificateFile['taken']): void => {
    if (file !== undefined) files.push({ use, file, taken });
  };
  add('engine', engine.tls?.cert, 'while-running');
  add('engine-ca', engine.tls?.ca, 'while-running');
  add('api', api.tls?.cert, 'at-start');
  add('api-ca', api.tls?.ca, 'at-start');
  if (store.kind === 'etcd') {
    add('store', store.tls?.certFile, 'while-running');
    add('store-ca', store.tls?.caFile, 'while-running');
  }
  return files;
}

/** Reads those files now and then. What cannot be read keeps its last known end: that it is missing, others say. */
export class CertificateWatch {
  readonly #files: readonly CertificateFile[];
  readonly #ends = new Map<CertificateFile, CertificateEnd>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(files: readonly CertificateFile[]) {
    this.#files = files;
  }

  /** What was read last; empty before the first look. */
  get ends(): readonly CertificateEnd[] {
    return this.#files.flatMap((each) => this.#ends.get(each) ?? []);
  }

  /** Looks again when the last look is ten seconds ago. Never throws. @param nowMs monotonic */
  async look(nowMs: number): Promise<void> {
    if (this.#files.length === 0 || nowMs - this.#lookedAtMs < lookEveryMs) return;
    this.#lookedAtMs = nowMs;
    await Promise.all(this.#files.map((each) => this.#read(each)));
  }

  /** A sentence for each certificate that ends within 30 days. */
  warnings(nowWallMs: number): readonly string[] {
    return this.ends.flatMap(({ use, file, taken, notAfterWallMs }) => {
      const days = Math.floor((notAfterWallMs - nowWallMs) / dayMs);
      if (days >= warnDays) return [];
      const when = days < 0 ? 'has expired' : days === 0 ? 'expires within a day' : `expires in ${days} days`;
      const then = taken === 'at-start' ? ', then end this agent alone (SIGUSR2): the next one takes it' : '';
      return [`the ${use} certificate ${file} ${when}: renew it${then}`];
    });
  }

  async #read(each: CertificateFile): Promise<void> {
    if (each.taken === 'at-start' && this.#ends.has(each)) return;
    try {
      const text = await readFile(each.file, { encoding: 'utf8', signal: AbortSignal.timeout(readWithinMs) });
      const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
      const ends = blocks.map((block) => Date.parse(new X509Certificate(block).validTo));
      if (ends.length > 0) this.#ends.set(each, { ...each, notAfterWallMs: Math.min(...ends) });
    } catch {
      // Engine, API and store say themselves what they cannot read.
    }
  }
}
