import { Buffer } from 'node:buffer';
import type pg from 'pg';

/** One piece of a base backup. */
export type BackupEvent =
  | { readonly kind: 'archive'; readonly name: string }
  | { readonly kind: 'manifest' }
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'progress'; readonly doneBytes: number };

export interface Tablespace {
  /** Null for the data directory itself. */
  readonly oid: string | null;
  readonly location: string;
  readonly sizeKb: number | null;
}

const queueBytesMax = 16 * 1024 * 1024;

interface CopyDataMessage {
  readonly chunk: Buffer;
}
interface DataRowMessage {
  readonly fields: readonly (string | Buffer | null)[];
}

/**
 * The command `BASE_BACKUP` of the replication protocol (PostgreSQL 15 and later), as something that the driver can run: the
 * driver hands over each message, and this makes an iteration of it that slows the server down when the disk is slower.
 */
export class BaseBackup implements pg.Submittable, AsyncIterable<BackupEvent> {
  readonly #sql: string;
  readonly #results: (readonly (string | null)[])[][] = [];
  #rows: (readonly (string | null)[])[] = [];
  readonly #queue: BackupEvent[] = [];
  #queuedBytes = 0;
  #stream: { pause(): unknown; resume(): unknown; destroy(): unknown } | null = null;
  #end: { readonly error: Error | null } | null = null;
  #wake: (() => void) | null = null;

  constructor(sql: string) {
    this.#sql = sql;
  }

  submit(connection: pg.Connection): void {
    this.#stream = connection.stream;
    connection.query(this.#sql);
  }

  handleRowDescription(): void {
    this.#rows = [];
  }

  handleDataRow(message: DataRowMessage): void {
    this.#rows.push(message.fields.map((field) => (field === null ? null : field.toString())));
  }

  handleCommandComplete(): void {
    this.#results.push(this.#rows);
    this.#rows = [];
  }

  handleCopyData(message: CopyDataMessage): void {
    const event = parseBackupMessage(message.chunk);
    if (event === null) return;
    if (event.kind === 'data') this.#queuedBytes += event.bytes.length;
    this.#queue.push(event);
    if (this.#queuedBytes > queueBytesMax) this.#stream?.pause();
    this.#signal();
  }

  handleReadyForQuery(): void {
    this.#finish(null);
  }

  handleError(error: Error): void {
    this.#finish(error);
  }

  /** Gives up, e.g. because the disk is full: the server notices the cut connection and stops sending. */
  abort(error: Error): void {
    this.#finish(error);
    this.#stream?.destroy();
  }

  #finish(error: Error | null): void {
    this.#end ??= { error };
    this.#signal();
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = null;
  }

  /** The tablespaces that the server announced; known as soon as the first event has come. */
  tablespaces(): readonly Tablespace[] {
    return (this.#results[1] ?? []).map(([oid, location, sizeKb]) => ({
      oid: oid ?? null,
      location: location ?? '',
      sizeKb: sizeKb === null || sizeKb === undefined ? null : Number(sizeKb),
    }));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BackupEvent> {
    for (;;) {
      const event = this.#queue.shift();
      if (event !== undefined) {
        if (event.kind === 'data') this.#queuedBytes -= event.bytes.length;
        if (this.#queuedBytes < queueBytesMax / 2) this.#stream?.resume();
        yield event;
      } else if (this.#end !== null) {
        if (this.#end.error !== null) throw this.#end.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** Reads one message of the backup stream (documentation, "Streaming Replication Protocol"); null for kinds of later versions. */
export function parseBackupMessage(chunk: Buffer): BackupEvent | null {
  const rest = chunk.subarray(1);
  switch (String.fromCharCode(chunk[0] ?? 0)) {
    case 'n': {
      const end = rest.indexOf(0);
      return { kind: 'archive', name: rest.subarray(0, end < 0 ? rest.length : end).toString('utf8') };
    }
    case 'm':
      return { kind: 'manifest' };
    case 'd':
      // A copy: the driver uses its buffer again.
      return { kind: 'data', bytes: Buffer.from(rest) };
    case 'p':
      return { kind: 'progress', doneBytes: rest.length >= 8 ? Number(rest.readBigInt64BE(0)) : 0 };
    default:
      return null;
  }
}
