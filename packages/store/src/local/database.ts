/**
 * One open database file: short transactions, retried without blocking the event loop while another process holds
 * the write lock, with the store's leases swept and its identity checked every time.
 */

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Backoff, Deadline, pause, type Revision } from '@understudy/base';
import { StoreError } from '../errors.ts';
import type { StoreId } from '../port.ts';
import { fromFileSystem, fromSqlite, isBusy } from './errors.ts';
import { checkSameFile, type FileIdentity, identify, prepareFile } from './file.ts';
import { findLockHolder } from './lock-holder.ts';
import { machineMs, readBootId } from './machine.ts';
import { prepareSchema } from './schema.ts';
import { type Head, Tables } from './tables.ts';

/** How long SQLite itself may block this process for a lock; beyond that the retry is asynchronous. */
const BUSY_TIMEOUT_MS = 5;
const OPEN_DEADLINE_MS = 10_000;

/** What a write transaction needs: `durable` survives a power cut, `boot` only the death of any process. */
export type Durability = 'durable' | 'boot';

type Attempt<T> = { readonly kind: 'done'; readonly value: T } | { readonly kind: 'busy' };

export class Database {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #tables: Tables;
  readonly #file: FileIdentity;
  readonly #bell: number;
  readonly #closing = new AbortController();
  #storeId: StoreId | null = null;
  #seen = 0 as Revision;

  private constructor(path: string, db: DatabaseSync, cluster: string, file: FileIdentity) {
    this.path = path;
    this.#db = db;
    this.#tables = new Tables(db, cluster);
    this.#file = file;
    this.#bell = openBell(path);
  }

  /** Opens or makes the file. Throws StoreError when that cannot be done, or not within 10 s because of locks. */
  static async open(configuredPath: string, cluster: string): Promise<Database> {
    const bootId = readBootId();
    const path = prepareFile(configuredPath);
    const deadline = new Deadline(OPEN_DEADLINE_MS);
    const backoff = new Backoff(2, 50);
    for (;;) {
      const attempt = Database.#tryOpen(path, cluster, bootId);
      if (attempt.kind === 'done') return attempt.value;
      if (deadline.hasPassed) throw timedOut(path, OPEN_DEADLINE_MS);
      await pause(backoff.nextMs());
    }
  }

  static #tryOpen(path: string, cluster: string, bootId: string): Attempt<Database> {
    let db: DatabaseSync | null = null;
    try {
      db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
      prepareSchema(db, path, bootId);
      const file = identify(path);
      if (file === null) throw new Error('the file was removed while it was being opened');
      return { kind: 'done', value: new Database(path, db, cluster, file) };
    } catch (error) {
      db?.close();
      if (isBusy(error)) return { kind: 'busy' };
      throw fromSqlite(error, path, 'before-commit');
    }
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Aborts when the database is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Runs `body` in a write transaction with all expired leases swept. `body` runs at most once to its end.
   * Throws StoreError `deadline-exceeded`, retry `safe`, when the lock could not be had in time.
   */
  async write<T>(durability: Durability, deadline: Deadline, body: (tables: Tables, nowMs: number) => T): Promise<T> {
    const backoff = new Backoff(1, 20);
    for (;;) {
      const attempt = this.#tryWrite(durability, deadline, body);
      if (attempt.kind === 'done') return attempt.value;
      if (deadline.hasPassed) throw timedOut(this.path, deadline.totalMs);
      await pause(Math.min(backoff.nextMs(), deadline.remainingMs), this.closing);
    }
  }

  /** Runs `body` on one consistent state without expired leases. Takes the write lock only to sweep leases. */
  async read<T>(deadline: Deadline, body: (tables: Tables, head: Head) => T): Promise<T> {
    const backoff = new Backoff(1, 20);
    for (;;) {
      const attempt = this.#tryRead(body);
      if (attempt.kind === 'done') return attempt.value;
      if (attempt.kind === 'expired') return this.write('durable', deadline, (tables) => body(tables, tables.head()));
      if (deadline.hasPassed) throw timedOut(this.path, deadline.totalMs);
      await pause(Math.min(backoff.nextMs(), deadline.remainingMs), this.closing);
    }
  }

  close(): void {
    if (this.closed) return;
    this.#closing.abort();
    this.#db.close();
    closeSync(this.#bell);
  }

  #tryWrite<T>(durability: Durability, deadline: Deadline, body: (tables: Tables, nowMs: number) => T): Attempt<T> {
    this.#checkUsable();
    let phase: 'before-commit' | 'commit' = 'before-commit';
    try {
      // Set each time, so that a failure in between cannot leave the weaker level behind.
      this.#db.exec(durability === 'durable' ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL');
      this.#db.exec('BEGIN IMMEDIATE');
      if (deadline.hasPassed) {
        this.#db.exec('ROLLBACK');
        return { kind: 'busy' };
      }
      const before = this.#checkHead(this.#tables.head());
      const nowMs = machineMs();
      this.#tables.sweep(nowMs);
      const value = body(this.#tables, nowMs);
      const after = this.#tables.head();
      phase = 'commit';
      this.#db.exec('COMMIT');
      this.#seen = after.revision;
      if (after.revision !== before.revision) this.#ring();
      return { kind: 'done', value };
    } catch (error) {
      this.#rollBack();
      if (isBusy(error)) return { kind: 'busy' };
      throw fromSqlite(error, this.path, phase);
    }
  }

  #tryRead<T>(body: (tables: Tables, head: Head) => T): Attempt<T> | { readonly kind: 'expired' } {
    this.#checkUsable();
    try {
      this.#db.exec('BEGIN');
      const head = this.#checkHead(this.#tables.head());
      const expired = head.nextExpiryMs !== null && head.nextExpiryMs < machineMs();
      const value = expired ? null : { result: body(this.#tables, head) };
      this.#db.exec('COMMIT');
      return value === null ? { kind: 'expired' } : { kind: 'done', value: value.result };
    } catch (error) {
      this.#rollBack();
      if (isBusy(error)) return { kind: 'busy' };
      throw fromSqlite(error, this.path, 'before-commit');
    }
  }

  #rollBack(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    } catch {
      // The first error is the one to report; SQLite rolls back by itself when the next transaction begins.
    }
  }

  #checkUsable(): void {
    if (this.closed) {
      throw new StoreError('closed', `Local store ${this.path}: already closed.`);
    }
    checkSameFile(this.path, this.#file);
  }

  /** Notices a file that was overwritten in place, by another store or by an older copy of this one. */
  #checkHead(head: Head): Head {
    this.#storeId ??= head.storeId;
    if (head.storeId !== this.#storeId) {
      throw new StoreError(
        'wrong-cluster',
        `Local store ${this.path}: was overwritten by another store (${head.storeId}, before ${this.#storeId}).`,
      );
    }
    if (head.revision < this.#seen) {
      throw new StoreError(
        'revision-went-back',
        `Local store ${this.path}: revision ${head.revision} is older than ${this.#seen} seen before; an old copy was put in its place.`,
      );
    }
    this.#seen = head.revision;
    return head;
  }

  /**
   * Wakes the watchers of all processes. The log file would not do: it is written before the change is visible.
   * A process that dies between commit and bell costs the watchers one poll interval.
   */
  #ring(): void {
    try {
      writeSync(this.#bell, '!', 0);
    } catch {
      // Committed already; the watchers' poll finds the change.
    }
  }
}

/** The file whose modification tells the watchers that something was committed. */
export function bellPath(path: string): string {
  return `${path}-bell`;
}

function openBell(path: string): number {
  try {
    return openSync(bellPath(path), constants.O_RDWR | constants.O_CREAT, 0o600);
  } catch (error) {
    throw fromFileSystem(error, bellPath(path));
  }
}

function timedOut(path: string, totalMs: number): StoreError {
  const lockHolder = findLockHolder(path);
  const who =
    lockHolder === null
      ? 'others hold the write lock'
      : `process ${lockHolder.pid} (${lockHolder.state}) holds the write lock; ${lockHolder.state === 'stopped' ? 'continue or end it' : 'try again'}`;
  return new StoreError(
    'deadline-exceeded',
    `Local store ${path}: no turn within ${Math.round(totalMs)} ms; ${who}. Nothing was written.`,
  );
}
