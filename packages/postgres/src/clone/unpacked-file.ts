import { Buffer } from 'node:buffer';
import type { FileHandle } from 'node:fs/promises';
import { createFile, type Owner, withFile } from '@understudy/engine/host';
import { crc32c } from '../disk/crc32c.ts';
import type { UnpackedFile } from './manifest.ts';

/** Each call of the system costs as much as writing some of the pieces that the network brings. */
const writeBytes = 1024 * 1024;
/** So much is written before the disk is told to begin with it: what is left for the end is then little. */
const syncEveryBytes = 32 * 1024 * 1024;

/** Memory that is used again: new memory costs as much as what is written from it. */
export class Buffers {
  readonly #free: Buffer[] = [];

  take(bytes: number): Buffer {
    if (bytes < writeBytes) return Buffer.allocUnsafe(bytes);
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(writeBytes);
  }

  giveBack(buffer: Buffer): void {
    if (buffer.length === writeBytes) this.#free.push(buffer);
  }
}

/** One file of a backup: takes content into memory, while `write` brings it to disk. */
export class FileInTheMaking {
  readonly name: string;
  readonly #buffers: Buffers;
  /** Bytes that have not come. */
  #missing: number;
  #buffer: Buffer;
  #used = 0;
  readonly #full: Buffer[] = [];
  #sizeBytes = 0;
  #checksum = 0;
  #state: 'growing' | 'whole' | 'given up' = 'growing';
  #wake: () => void = () => undefined;

  constructor(name: string, sizeBytes: number, buffers: Buffers) {
    this.name = name;
    this.#missing = sizeBytes;
    this.#buffers = buffers;
    this.#buffer = buffers.take(Math.min(sizeBytes, writeBytes));
  }

  /** @param bytes are copied */
  add(bytes: Buffer): void {
    this.#checksum = crc32c(bytes, this.#checksum);
    this.#sizeBytes += bytes.length;
    this.#missing -= bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const copied = bytes.copy(this.#buffer, this.#used, at);
      at += copied;
      this.#used += copied;
      if (this.#used === this.#buffer.length) this.#next(bytes.length - at);
    }
  }

  #next(comingBytes: number): void {
    if (this.#used > 0) this.#full.push(this.#buffer.subarray(0, this.#used));
    this.#buffer = this.#buffers.take(Math.min(this.#missing + comingBytes, writeBytes));
    this.#used = 0;
    this.#wake();
  }

  /** No more content comes. @returns what came */
  end(): UnpackedFile {
    this.#next(0);
    this.#state = 'whole';
    this.#wake();
    return { sizeBytes: this.#sizeBytes, checksum: this.#checksum };
  }

  /** Nobody needs the file any more: `write` returns soon. */
  giveUp(): void {
    this.#state = 'given up';
    this.#wake();
  }

  /**
   * Writes the file until it has ended, and makes it survive a loss of power.
   *
   * @param onWritten called with the bytes that are not in memory any more
   * @throws whatever the file system does
   */
  async write(path: string, owner: Owner, onWritten: (bytes: number) => void): Promise<void> {
    await withFile(createFile(path, owner), async (handle) => {
      await this.#writeAll(handle, onWritten);
      if (this.#state !== 'given up') await handle.sync();
    });
  }

  async #writeAll(handle: FileHandle, onWritten: (bytes: number) => void): Promise<void> {
    let unsyncedBytes = 0;
    let syncing = Promise.resolve();
    for (let buffer = await this.#nextFull(); buffer !== null; buffer = await this.#nextFull()) {
      await handle.writeFile(buffer);
      const bytes = buffer.length;
      this.#buffers.giveBack(buffer);
      onWritten(bytes);
      unsyncedBytes += bytes;
      if (unsyncedBytes < syncEveryBytes) continue;
      // The one before has had as long as it took to write so much: a slow disk slows the source down here.
      await syncing;
      syncing = handle.datasync();
      // Met above, or at the end.
      syncing.catch(() => undefined);
      unsyncedBytes = 0;
    }
    await syncing;
  }

  /** What is to be written next; null when there is nothing more. */
  async #nextFull(): Promise<Buffer | null> {
    while (this.#state === 'growing' && this.#full.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#state === 'given up' ? null : (this.#full.shift() ?? null);
  }
}
