/** Reading and writing the parts that messages consist of. All integers are big-endian; text is UTF-8 and ends with a zero byte. */

import { WireError } from './error.ts';

/** Reads parts of one message one after another, and never beyond its end. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** @throws WireError `malformed` when fewer than `length` bytes are left */
  #need(length: number): number {
    if (length < 0 || length > this.#end - this.#at) {
      throw new WireError('malformed', `a message ends ${length - this.remaining} bytes too early`);
    }
    const at = this.#at;
    this.#at += length;
    return at;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#need(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#need(2));
  }

  /** A count of 16 bits that the protocol means without sign. */
  uint16(): number {
    return this.#bytes.readUInt16BE(this.#need(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#need(4));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#need(4));
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#need(8));
  }

  /** A view, not a copy. */
  bytes(length: number): Buffer {
    const at = this.#need(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Text up to its zero byte. @throws WireError `malformed` when no zero byte follows */
  text(): string {
    const zero = this.#bytes.indexOf(0, this.#at);
    if (zero === -1 || zero >= this.#end) throw new WireError('malformed', 'a text has no end');
    const text = this.#bytes.toString('utf8', this.#at, zero);
    this.#at = zero + 1;
    return text;
  }

  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  /** @throws WireError `malformed` when bytes are left that nothing asked for */
  done(): void {
    if (this.remaining !== 0) throw new WireError('malformed', `a message has ${this.remaining} bytes too many`);
  }
}

/** Builds messages one after another into one buffer that grows. */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = Buffer.allocUnsafe(capacityBytes);
  }

  #room(length: number): number {
    const at = this.#length;
    if (at + length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, at + length));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#length = at + length;
    return at;
  }

  uint8(value: number): this {
    const at = this.#room(1);
    this.#bytes.writeUInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#room(2);
    this.#bytes.writeInt16BE(value, at);
    return this;
  }

  uint16(value: number): this {
    const at = this.#room(2);
    this.#bytes.writeUInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }

  uint32(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeUInt32BE(value, at);
    return this;
  }

  uint64(value: bigint): this {
    const at = this.#room(8);
    this.#bytes.writeBigUInt64BE(value, at);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** @throws WireError `malformed` when the text has a zero byte: what follows it would be taken for the next part */
  text(value: string): this {
    if (value.includes('\0')) throw new WireError('malformed', 'a text with a zero byte cannot be sent');
    const length = Buffer.byteLength(value);
    const at = this.#room(length + 1);
    this.#bytes.write(value, at, 'utf8');
    this.#bytes[at + length] = 0;
    return this;
  }

  /** A message of `type` whose content `fill` writes; type 0 stands for a packet without type. */
  message(type: number, fill: (writer: this) => void): this {
    if (type !== 0) this.uint8(type);
    const start = this.#room(4);
    fill(this);
    this.#bytes.writeInt32BE(this.#length - start, start);
    return this;
  }

  /** What was written, as a copy of its own. */
  done(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }
}

/** The code of a message type that is written as a letter. */
export const letter = (text: string): number => text.charCodeAt(0);
