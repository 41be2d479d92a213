import { Buffer } from 'node:buffer';

/** What becomes of the messages of a connection that sends a backup. */
export interface CopyDataReceiver {
  /** A piece of the files' content (kind `d`), however it was cut. */
  content(bytes: Buffer): void;
  /** Any other CopyData message, whole, with its kind first. */
  message(bytes: Buffer): void;
  /** Bytes of messages that are no CopyData, with their headers. */
  other(bytes: Buffer): void;
}

const copyData = 0x64;
const contentKind = 0x64;
const headerBytes = 5;
const nothing = Buffer.alloc(0);

/**
 * Cuts CopyData out of what a server sends, without copying it. (The driver's parser would copy each message twice.)
 */
export class CopyDataFilter {
  readonly #to: CopyDataReceiver;
  /** The part of a header that has come. */
  #header: Buffer = nothing;
  #state: 'header' | 'kind' | 'content' | 'message' | 'other' = 'header';
  /** Bytes of this message that have not come. */
  #left = 0;
  #message: Buffer[] = [];

  constructor(to: CopyDataReceiver) {
    this.#to = to;
  }

  /** @param chunk is not kept, and must not be by the receiver: its memory is used again */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#state === 'header') at += this.#takeHeader(chunk.subarray(at, at + headerBytes));
      else if (this.#state === 'kind') at += this.#takeKind(chunk[at]);
      else at += this.#takeBody(chunk.subarray(at, at + this.#left));
    }
  }

  #takeHeader(chunk: Buffer): number {
    const taken = chunk.subarray(0, headerBytes - this.#header.length);
    const header = this.#header.length === 0 ? taken : Buffer.concat([this.#header, taken]);
    this.#header = header.length < headerBytes ? Buffer.from(header) : nothing;
    if (header.length < headerBytes) return taken.length;
    const isCopy = header[0] === copyData;
    // The length counts itself.
    this.#left = header.readUInt32BE(1) - 4;
    this.#state = this.#left === 0 ? 'header' : isCopy ? 'kind' : 'other';
    if (!isCopy) this.#to.other(header);
    return taken.length;
  }

  #takeKind(kind: number | undefined): number {
    const taken = kind === contentKind ? 1 : 0;
    this.#state = taken === 1 ? 'content' : 'message';
    this.#left -= taken;
    if (this.#left === 0) this.#state = 'header';
    return taken;
  }

  #takeBody(bytes: Buffer): number {
    this.#left -= bytes.length;
    if (this.#state === 'content') this.#to.content(bytes);
    else if (this.#state === 'other') this.#to.other(bytes);
    else this.#message.push(Buffer.from(bytes));
    if (this.#left > 0) return bytes.length;
    this.#state = 'header';
    if (this.#message.length > 0) this.#to.message(Buffer.concat(this.#message));
    this.#message = [];
    return bytes.length;
  }
}
