/** The certificate files of the configuration, read again when they were replaced: a renewal needs no new agent. */

import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { monotonicMs } from '@understudy/base';
import type { EtcdStoreConfig } from '../config.ts';
import { StoreError } from '../errors.ts';

/** How often the files are looked at, at most. */
const LOOK_EVERY_MS = 1_000;

export class TlsFiles {
  readonly #files: readonly (readonly [setting: string, option: 'ca' | 'cert' | 'key', path: string])[];
  #loaded: SecureContextOptions;
  #versions: string;
  #lookedMs = monotonicMs();

  /** Throws StoreError `invalid-config` when a file cannot be read or they do not fit together. */
  constructor(tls: EtcdStoreConfig['tls']) {
    const { caFile, certFile, keyFile } = tls ?? {};
    const named = [
      ['tls.caFile', 'ca', caFile],
      ['tls.certFile', 'cert', certFile],
      ['tls.keyFile', 'key', keyFile],
    ] as const;
    this.#files = named.flatMap(([setting, option, path]) =>
      path === undefined ? [] : [[setting, option, path] as const],
    );
    // Looked at before they are read: a change in between shows at the next look.
    this.#versions = this.#look() ?? '';
    this.#loaded = this.#load();
  }

  /** What new connections use. Files that are just being replaced, or do not fit together, change nothing yet. */
  current(): SecureContextOptions {
    if (this.#files.length === 0 || monotonicMs() - this.#lookedMs < LOOK_EVERY_MS) return this.#loaded;
    this.#lookedMs = monotonicMs();
    const versions = this.#look();
    if (versions === null || versions === this.#versions) return this.#loaded;
    try {
      this.#loaded = this.#load();
      this.#versions = versions;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
    return this.#loaded;
  }

  /** Which files there are now; null when one is missing. */
  #look(): string | null {
    const seen: string[] = [];
    for (const [, , path] of this.#files) {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
        seen.push([dev, ino, size, mtimeNs, ctimeNs].join(':'));
      } catch {
        return null;
      }
    }
    return seen.join(' ');
  }

  #load(): SecureContextOptions {
    const options: SecureContextOptions = {};
    for (const [setting, option, path] of this.#files) options[option] = readSetting(setting, path);
    if (this.#files.length === 0) return options;
    try {
      createSecureContext(options);
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      throw wrongSetting(`store.tls: the certificate files do not fit: ${text}`, cause);
    }
    return options;
  }
}

function readSetting(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw wrongSetting(`store.${name} ${path} cannot be read: ${cause instanceof Error ? cause.message : ''}`, cause);
  }
}

function wrongSetting(message: string, cause: unknown): StoreError {
  return new StoreError('invalid-config', message, { cause });
}
