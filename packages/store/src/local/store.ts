/** The local adapter: one SQLite file shared by the agents of one machine. */

import type { Revision } from '@understudy/base';
import type { LocalStoreConfig } from '../config.ts';
import { StoreError } from '../errors.ts';
import { callDeadline, checkLeaseTtl, checkTransaction } from '../limits.ts';
import type {
  CallOptions,
  Compare,
  KeepAliveResult,
  Lease,
  LeaseId,
  Snapshot,
  Store,
  StoreId,
  TransactionResult,
  Watch,
  WatchListener,
  Write,
} from '../port.ts';
import { Database } from './database.ts';
import { identify } from './file.ts';
import { LocalWatcher } from './watcher.ts';

/**
 * Opens the store file, or makes it (mode 0600) in an existing folder. All processes that share it run as its owner.
 * Throws StoreError: `folder-missing`, `permission-denied`, `not-a-store`, `corrupt`, `schema-too-new`,
 * `unsupported-platform`, `store-full`, `io-error`, `deadline-exceeded`.
 */
export async function openLocalStore(config: LocalStoreConfig): Promise<Store> {
  return new LocalStore(config, await Database.open(config.path, config.cluster));
}

class LocalStore implements Store {
  readonly #config: LocalStoreConfig;
  #database: Database;
  readonly #watcher: LocalWatcher;

  constructor(config: LocalStoreConfig, database: Database) {
    this.#config = config;
    this.#database = database;
    this.#watcher = new LocalWatcher(() => this.#database);
  }

  async read(options: CallOptions): Promise<Snapshot> {
    return readAll(this.#database, options);
  }

  async look(options: CallOptions): Promise<Snapshot> {
    const { path, cluster } = this.#config;
    // To look must not make what is not there.
    if (identify(path) === null) return NOTHING;
    const database = await Database.open(path, cluster);
    try {
      return await readAll(database, options);
    } finally {
      database.close();
    }
  }

  async adopt(_snapshot: Snapshot): Promise<void> {
    const { path, cluster } = this.#config;
    const before = this.#database;
    this.#database = await Database.open(path, cluster);
    before.close();
    this.#watcher.startOver();
  }

  async transact(
    compares: readonly Compare[],
    writes: readonly Write[],
    options: CallOptions,
  ): Promise<TransactionResult> {
    checkTransaction(compares, writes);
    const deadline = callDeadline(options.deadlineMs);
    const result = await this.#database.write('durable', deadline, (tables) => tables.transact(compares, writes));
    if (result.kind !== 'lease-gone') return result;
    throw new StoreError('lease-expired', `Lease ${result.lease} has run out or was revoked; nothing was written.`, {
      next: 'Grant a new lease.',
    });
  }

  async grantLease(ttlMs: number, options: CallOptions): Promise<Lease> {
    checkLeaseTtl(ttlMs);
    const wholeMs = Math.ceil(ttlMs);
    const deadline = callDeadline(options.deadlineMs);
    const id = await this.#database.write('boot', deadline, (tables, nowMs) => tables.grantLease(wholeMs, nowMs));
    return { id, ttlMs: wholeMs };
  }

  async keepAlive(id: LeaseId, options: CallOptions): Promise<KeepAliveResult> {
    const deadline = callDeadline(options.deadlineMs);
    const ttlMs = await this.#database.write('boot', deadline, (tables, nowMs) => tables.renewLease(id, nowMs));
    return ttlMs === null ? { kind: 'expired' } : { kind: 'alive', ttlMs };
  }

  async revoke(id: LeaseId, options: CallOptions): Promise<void> {
    await this.#database.write('durable', callDeadline(options.deadlineMs), (tables) => tables.revokeLease(id));
  }

  watch(listener: WatchListener): Watch {
    return this.#watcher.add(listener);
  }

  describe(): string {
    return `local store ${this.#config.path}, cluster ${this.#config.cluster}`;
  }

  async close(): Promise<void> {
    await this.#watcher.close();
    this.#database.close();
  }
}

/** What a store holds whose file was removed. */
const NOTHING: Snapshot = { storeId: 'removed' as StoreId, revision: 0 as Revision, entries: new Map() };

function readAll(database: Database, options: CallOptions): Promise<Snapshot> {
  return database.read(callDeadline(options.deadlineMs), (tables, { storeId, revision }) => ({
    storeId,
    revision,
    entries: tables.entries(),
  }));
}
