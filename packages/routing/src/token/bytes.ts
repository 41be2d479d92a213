/** Reading and writing of the few forms that a token is made of. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const VALUES = new Map([...ALPHABET].map((letter, value) => [letter, value]));

export function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(index, index + 3);
    const letters = [a >> 2, ((a & 3) << 4) | (b >> 4), ((b & 15) << 2) | (c >> 6), c & 63];
    const used = Math.min(3, bytes.length - index) + 1;
    for (const letter of letters.slice(0, used)) text += ALPHABET[letter];
  }
  return text;
}

/** Null when a character or the length is not base64url, or unused bits are set. */
export function fromBase64Url(text: string): Uint8Array | null {
  if (text.length % 4 === 1) return null;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const letter of text) {
    const value = VALUES.get(letter);
    if (value === undefined) return null;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at] = (held >> bits) & 0xff;
      at += 1;
    }
  }
  return (held & ((1 << bits) - 1)) === 0 ? bytes : null;
}

export class ByteWriter {
  readonly #bytes: number[] = [];

  byte(value: number): this {
    this.#bytes.push(value & 0xff);
    return this;
  }

  raw(bytes: Iterable<number>): this {
    for (const value of bytes) this.#bytes.push(value);
    return this;
  }

  /** Seven bits a byte, lowest first, the top bit says that more follow (LEB128). */
  varint(value: bigint | number): this {
    let rest = BigInt(value);
    for (; rest >= 0x80n; rest >>= 7n) this.byte(Number(rest & 0x7fn) | 0x80);
    return this.byte(Number(rest));
  }

  /** Big-endian in `size` bytes. */
  fixed(value: bigint | number, size: number): this {
    const whole = BigInt(value);
    for (let index = size - 1; index >= 0; index -= 1) this.byte(Number((whole >> BigInt(8 * index)) & 0xffn));
    return this;
  }

  done(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** Reads in order; null from any of its methods means that the bytes ended or hold too large a number. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number | null {
    const value = this.#bytes[this.#at];
    if (value === undefined) return null;
    this.#at += 1;
    return value;
  }

  raw(size: number): Uint8Array | null {
    if (this.#at + size > this.#bytes.length) return null;
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  /** At most 64 bits. */
  varint(): bigint | null {
    let value = 0n;
    for (let shift = 0n; shift < 64n; shift += 7n) {
      const next = this.byte();
      if (next === null) return null;
      value |= BigInt(next & 0x7f) << shift;
      if (next < 0x80) return value < 1n << 64n ? value : null;
    }
    return null;
  }

  /** A varint that is at most `max`. */
  count(max: number): number | null {
    const value = this.varint();
    return value === null || value > BigInt(max) ? null : Number(value);
  }

  fixed(size: number): bigint | null {
    const bytes = this.raw(size);
    return bytes === null ? null : bytes.reduce((sum, value) => (sum << 8n) | BigInt(value), 0n);
  }
}
