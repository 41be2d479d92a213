/** Output of a worker: what goes to one connection within one turn is put together and written once. */

import type { Socket } from 'node:net';

const BATCH_BYTES = 64 * 1024;

/**
 * One for all connections of a worker: `add` with another connection writes out what was put together for the one before. The bytes that
 * are given may be overwritten after the call.
 */
export class Batch {
  #target: Socket | null = null;
  #buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  #length = 0;

  add(target: Socket, bytes: Buffer, start = 0, end = bytes.length): void {
    const length = end - start;
    if (target !== this.#target || this.#length + length > BATCH_BYTES) {
      this.flush();
      this.#target = target;
      if (length > BATCH_BYTES / 2) {
        target.write(Buffer.from(bytes.subarray(start, end)));
        return;
      }
    }
    bytes.copy(this.#buffer, this.#length, start, end);
    this.#length += length;
  }

  /** To be called at the end of every turn that may have added something. */
  flush(): void {
    const target = this.#target;
    const length = this.#length;
    this.#target = null;
    this.#length = 0;
    if (target === null || length === 0 || target.destroyed) return;
    if (!target.writable) return;
    target.write(this.#buffer.subarray(0, length));
    // The system did not take all of it: the rest is read from this buffer later.
    if (target.writableLength > 0) this.#buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  }
}
