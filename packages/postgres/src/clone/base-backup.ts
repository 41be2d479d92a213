import type { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { readInstead } from '../sql/wide-socket.ts';
import { CopyDataFilter } from './copy-data.ts';

/** What begins in a backup. */
export type BackupMessage =
  | { readonly kind: 'archive'; readonly name: string }
  | { readonly kind: 'manifest' }
  | { readonly kind: 'progress'; readonly doneBytes: number };

/** Receives a backup in the order in which it comes. What it throws ends the backup. */
export interface BackupReceiver {
  message(message: BackupMessage, tablespaces: readonly Tablespace[]): void;
  /** Content of what began last. @param bytes must not be kept: their memory is used again */
  content(bytes: Buffer): void;
}

export interface Tablespace {
  /** Null for the data directory itself. */
  readonly oid: string | null;
  readonly location: string;
  readonly sizeKb: number | null;
}

interface DataRowMessage {
  readonly fields: readonly (string | Buffer | null)[];
}

/**
 * The command `BASE_BACKUP` of the replication protocol (PostgreSQL 15 and later), as something that the driver can run. The driver
 * parses the answers; content goes past it, from the memory of the socket to the receiver.
 */
export class BaseBackup implements pg.Submittable {
  readonly #sql: string;
  readonly #to: BackupReceiver;
  readonly #results: (readonly (string | null)[])[][] = [];
  #rows: (readonly (string | null)[])[] = [];
  #stream: Duplex | null = null;
  #giveBack: () => void = () => undefined;
  readonly #done = Promise.withResolvers<void>();

  constructor(sql: string, to: BackupReceiver) {
    this.#sql = sql;
    this.#to = to;
    // Whoever gives up may never ask.
    this.#done.promise.catch(() => undefined);
  }

  /** Settles when the server has sent everything. Rejects with its error, the receiver's, or that of `abort`. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  submit(connection: pg.Connection): void {
    this.#stream = connection.stream;
    this.#giveBack = readInstead(connection.stream, (toDriver) => {
      const filter = new CopyDataFilter({
        content: (bytes) => this.#to.content(bytes),
        message: (bytes) => this.#message(bytes),
        other: toDriver,
      });
      return (chunk) => this.#read(filter, chunk);
    });
    connection.query(this.#sql);
  }

  #read(filter: CopyDataFilter, chunk: Buffer): void {
    try {
      filter.push(chunk);
    } catch (error) {
      this.abort(error);
    }
  }

  #message(bytes: Buffer): void {
    const message = parseBackupMessage(bytes);
    if (message !== null) this.#to.message(message, this.#tablespaces());
  }

  /** Lets the server wait until `until` settles, e.g. because the disk is slower. */
  pause(until: Promise<void>): void {
    this.#stream?.pause();
    until.then(
      () => this.#stream?.resume(),
      (error: unknown) => this.abort(error),
    );
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

  handleReadyForQuery(): void {
    this.#giveBack();
    this.#done.resolve();
  }

  handleError(error: Error): void {
    this.#giveBack();
    this.#done.reject(error);
  }

  /** Gives up, e.g. because the disk is full: the server notices the cut connection and stops sending. */
  abort(error: unknown): void {
    this.#done.reject(error);
    this.#stream?.destroy();
  }

  /** The tablespaces that the server announced, before anything else. */
  #tablespaces(): readonly Tablespace[] {
    return (this.#results[1] ?? []).map(([oid, location, sizeKb]) => ({
      oid: oid ?? null,
      location: location ?? '',
      sizeKb: sizeKb === null || sizeKb === undefined ? null : Number(sizeKb),
    }));
  }
}

/** Reads one message of the backup stream that is no content (documentation, "Streaming Replication Protocol"); null for kinds of later versions. */
export function parseBackupMessage(chunk: Buffer): BackupMessage | null {
  const rest = chunk.subarray(1);
  switch (String.fromCharCode(chunk[0] ?? 0)) {
    case 'n': {
      const end = rest.indexOf(0);
      return { kind: 'archive', name: rest.subarray(0, end < 0 ? rest.length : end).toString('utf8') };
    }
    case 'm':
      return { kind: 'manifest' };
    case 'p':
      return { kind: 'progress', doneBytes: rest.length >= 8 ? Number(rest.readBigInt64BE(0)) : 0 };
    default:
      return null;
  }
}
