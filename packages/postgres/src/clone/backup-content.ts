import { Buffer } from 'node:buffer';
import type { Tablespace } from './base-backup.ts';
import { TarReader, type TarSink } from './tar.ts';

/** Takes the content of a backup apart: first the archive of its files, then the manifest that says what they must be. */
export class BackupContent {
  readonly #files: TarSink;
  #state: 'begun' | 'manifest' | TarReader = 'begun';
  readonly #manifest: Buffer[] = [];
  #doneBytes = 0;
  #totalBytes = 0;

  constructor(files: TarSink) {
    this.#files = files;
  }

  get doneBytes(): number {
    return this.#doneBytes;
  }

  /** About how many there will be; 0 when the server did not say. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  beginArchive(tablespaces: readonly Tablespace[]): void {
    this.#totalBytes = tablespaces.reduce((sum, space) => sum + (space.sizeKb ?? 0) * 1024, 0);
    this.#state = new TarReader(this.#files);
  }

  /** @throws TarProblem when the archive is not whole */
  beginManifest(): void {
    if (this.#state instanceof TarReader) this.#state.finish();
    this.#state = 'manifest';
  }

  /** @param bytes must not be used by anybody else until this returns */
  push(bytes: Buffer): void {
    this.#doneBytes += bytes.length;
    if (this.#state instanceof TarReader) this.#state.push(bytes);
    else if (this.#state === 'manifest') this.#manifest.push(Buffer.from(bytes));
  }

  /** @throws Error when none came */
  manifest(): Buffer {
    if (this.#manifest.length === 0) throw new Error('the source sent no manifest');
    return Buffer.concat(this.#manifest);
  }
}
