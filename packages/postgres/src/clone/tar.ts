/** One entry of a tar archive, as PostgreSQL's server writes them (ustar, names of at most 99 characters, big sizes in base 256). */
export interface TarEntry {
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'link';
  readonly sizeBytes: number;
}

/** Receives what a `TarReader` finds, in the order of the archive. */
export interface TarSink {
  begin(entry: TarEntry): void;
  /** @param bytes a part of what was pushed, not a copy: must not be kept */
  data(bytes: Buffer): void;
  end(): void;
}

const blockBytes = 512;

/** An archive that is not what the server should have sent. */
export class TarProblem extends Error {
  override readonly name = 'TarProblem';
}

/** Reads a tar archive piece by piece, however it is cut. */
export class TarReader {
  readonly #sink: TarSink;
  #header = Buffer.alloc(0);
  #state: 'header' | 'body' | 'padding' | 'finished' = 'header';
  #left = 0;
  #padding = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.#state !== 'finished') {
      if (this.#state === 'header') at += this.#takeHeader(chunk.subarray(at));
      else if (this.#state === 'body') at += this.#takeBody(chunk.subarray(at));
      else at += this.#takePadding(chunk.subarray(at));
    }
  }

  /** The archive is over: it must not end inside an entry. (PostgreSQL's server sends no end blocks.) */
  finish(): void {
    const clean = this.#state === 'finished' || (this.#state === 'header' && this.#header.length === 0);
    if (!clean) throw new TarProblem('the archive ends in the middle of an entry');
  }

  #takeHeader(chunk: Buffer): number {
    const taken = chunk.subarray(0, blockBytes - this.#header.length);
    this.#header = Buffer.concat([this.#header, taken]);
    if (this.#header.length < blockBytes) return taken.length;
    const block = this.#header;
    this.#header = Buffer.alloc(0);
    const entry = parseTarHeader(block);
    if (entry === null) {
      this.#state = 'finished';
      return taken.length;
    }
    this.#sink.begin(entry);
    this.#left = entry.sizeBytes;
    this.#padding = (blockBytes - (entry.sizeBytes % blockBytes)) % blockBytes;
    this.#state = 'body';
    if (this.#left === 0) this.#endEntry();
    return taken.length;
  }

  #takeBody(chunk: Buffer): number {
    const taken = chunk.subarray(0, this.#left);
    this.#sink.data(taken);
    this.#left -= taken.length;
    if (this.#left === 0) this.#endEntry();
    return taken.length;
  }

  #endEntry(): void {
    this.#sink.end();
    this.#state = this.#padding === 0 ? 'header' : 'padding';
  }

  #takePadding(chunk: Buffer): number {
    const taken = Math.min(this.#padding, chunk.length);
    this.#padding -= taken;
    if (this.#padding === 0) this.#state = 'header';
    return taken;
  }
}

/** Reads a header block; null for the block of zeros that ends an archive. */
export function parseTarHeader(block: Buffer): TarEntry | null {
  if (block.every((byte) => byte === 0)) return null;
  let sum = 0;
  for (let i = 0; i < blockBytes; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] ?? 0);
  if (sum !== octal(block, 148, 8)) throw new TarProblem('a header has a wrong checksum');
  const name = text(block, 0, 100);
  if (name.startsWith('/') || name.split('/').includes('..')) throw new TarProblem(`the name "${name}" leads outside`);
  const kinds: Readonly<Record<string, TarEntry['kind']>> = { '0': 'file', '\0': 'file', '5': 'folder', '2': 'link' };
  const kind = kinds[String.fromCharCode(block[156] ?? 0)];
  if (kind === undefined) throw new TarProblem(`"${name}" is neither a file nor a folder`);
  return { name, kind, sizeBytes: kind === 'file' ? sizeOf(block) : 0 };
}

function text(block: Buffer, from: number, length: number): string {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString('utf8');
}

function octal(block: Buffer, from: number, length: number): number {
  const digits = text(block, from, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new TarProblem('a number of a header is damaged');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function sizeOf(block: Buffer): number {
  if (((block[124] ?? 0) & 0x80) === 0) return octal(block, 124, 12);
  // Sizes of 8 GiB and more: 11 bytes, most significant first.
  return Number(BigInt(`0x${block.subarray(125, 136).toString('hex')}`));
}
