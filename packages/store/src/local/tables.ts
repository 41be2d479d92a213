/**
 * The statements of the local store. Everything here is synchronous and runs inside a transaction that the caller
 * has begun; `nowMs` is the machine's monotonic clock.
 */

import { randomBytes } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Revision } from '@understudy/base';
import { z } from 'zod';
import type { Compare, KeyValue, LeaseId, StoreId, TransactionResult, Write } from '../port.ts';

const revisionColumn = z
  .int()
  .nonnegative()
  .transform((n) => n as Revision);
const leaseColumn = z.string().transform((s) => s as LeaseId);
const valueColumn = z.instanceof(Uint8Array).transform((bytes) => Buffer.from(bytes).toString('utf8'));

const headRow = z.object({
  store_id: z.string().transform((s) => s as StoreId),
  revision: revisionColumn,
  next_expiry_ms: z.number().nullable(),
});
const kvRow = z.object({
  key: z.string(),
  value: valueColumn,
  create_revision: revisionColumn,
  mod_revision: revisionColumn,
  lease: leaseColumn.nullable(),
});
const keyRow = z.object({ create_revision: revisionColumn, mod_revision: revisionColumn });
const leaseRow = z.object({ ttl_ms: z.number() });

/** The state of the store in three values. */
export interface Head {
  readonly storeId: StoreId;
  readonly revision: Revision;
  /** Last ms of the machine's monotonic clock in which the next lease still holds; null without leases. */
  readonly nextExpiryMs: number | null;
}

export type LocalTransactionResult = TransactionResult | { readonly kind: 'lease-gone'; readonly lease: LeaseId };

export class Tables {
  readonly #cluster: string;
  readonly #head: StatementSync;
  readonly #all: StatementSync;
  readonly #key: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #setRevision: StatementSync;
  readonly #lease: StatementSync;
  readonly #insertLease: StatementSync;
  readonly #renewLease: StatementSync;
  readonly #deleteLease: StatementSync;
  readonly #deleteLeaseKeys: StatementSync;
  readonly #sweepKeys: StatementSync;
  readonly #sweepLeases: StatementSync;

  constructor(db: DatabaseSync, cluster: string) {
    this.#cluster = cluster;
    this.#head = db.prepare(
      'SELECT store_id, revision, (SELECT min(expires_ms) FROM lease) AS next_expiry_ms FROM meta',
    );
    this.#all = db.prepare('SELECT key, value, create_revision, mod_revision, lease FROM kv WHERE cluster = ?');
    this.#key = db.prepare('SELECT create_revision, mod_revision FROM kv WHERE cluster = ? AND key = ?');
    this.#put = db.prepare(
      `INSERT INTO kv (cluster, key, value, create_revision, mod_revision, lease) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
       ON CONFLICT (cluster, key) DO UPDATE SET value = ?3, mod_revision = ?4, lease = ?5`,
    );
    this.#delete = db.prepare('DELETE FROM kv WHERE cluster = ? AND key = ?');
    this.#setRevision = db.prepare('UPDATE meta SET revision = ?');
    this.#lease = db.prepare('SELECT ttl_ms FROM lease WHERE id = ?');
    this.#insertLease = db.prepare('INSERT INTO lease (id, ttl_ms, expires_ms) VALUES (?, ?, ?)');
    this.#renewLease = db.prepare('UPDATE lease SET expires_ms = ? WHERE id = ?');
    this.#deleteLease = db.prepare('DELETE FROM lease WHERE id = ?');
    this.#deleteLeaseKeys = db.prepare('DELETE FROM kv WHERE lease = ?');
    this.#sweepKeys = db.prepare('DELETE FROM kv WHERE lease IN (SELECT id FROM lease WHERE expires_ms < ?)');
    this.#sweepLeases = db.prepare('DELETE FROM lease WHERE expires_ms < ?');
  }

  head(): Head {
    const row = headRow.parse(this.#head.get());
    return { storeId: row.store_id, revision: row.revision, nextExpiryMs: row.next_expiry_ms };
  }

  entries(): Map<string, KeyValue> {
    const entries = new Map<string, KeyValue>();
    for (const raw of this.#all.iterate(this.#cluster)) {
      const row = kvRow.parse(raw);
      entries.set(row.key, {
        key: row.key,
        value: row.value,
        createRevision: row.create_revision,
        modRevision: row.mod_revision,
        lease: row.lease,
      });
    }
    return entries;
  }

  /** Removes leases that have run out with their keys, of all clusters; one revision for all of them. */
  sweep(nowMs: number): void {
    const deleted = this.#sweepKeys.run(nowMs).changes;
    this.#sweepLeases.run(nowMs);
    if (deleted !== 0) this.#nextRevision();
  }

  transact(compares: readonly Compare[], writes: readonly Write[]): LocalTransactionResult {
    const before = this.head().revision;
    if (!compares.every((compare) => this.#holds(compare))) return { kind: 'rejected', revision: before };
    for (const write of writes) {
      if (write.kind !== 'put' || write.lease === undefined) continue;
      if (this.#lease.get(write.lease) === undefined) return { kind: 'lease-gone', lease: write.lease };
    }
    const next = (before + 1) as Revision;
    const changed = writes.map((write) => this.#apply(write, next)).some((did) => did);
    if (changed) this.#setRevision.run(next);
    return { kind: 'committed', revision: changed ? next : before };
  }

  grantLease(ttlMs: number, nowMs: number): LeaseId {
    const id = randomBytes(12).toString('hex') as LeaseId;
    this.#insertLease.run(id, ttlMs, nowMs + ttlMs);
    return id;
  }

  /** Renews for the whole time to live and returns it in ms, or null when the lease is gone. */
  renewLease(id: LeaseId, nowMs: number): number | null {
    const found = this.#lease.get(id);
    if (found === undefined) return null;
    const ttlMs = leaseRow.parse(found).ttl_ms;
    this.#renewLease.run(nowMs + ttlMs, id);
    return ttlMs;
  }

  revokeLease(id: LeaseId): void {
    this.#deleteLease.run(id);
    if (this.#deleteLeaseKeys.run(id).changes !== 0) this.#nextRevision();
  }

  #holds(compare: Compare): boolean {
    const found = this.#key.get(this.#cluster, compare.key);
    switch (compare.kind) {
      case 'absent':
        return found === undefined;
      case 'exists':
        return found !== undefined;
      case 'unchanged':
        return found !== undefined && keyRow.parse(found).mod_revision === compare.modRevision;
    }
  }

  /** Returns whether the write changed something: deleting what is not there does not. */
  #apply(write: Write, revision: Revision): boolean {
    if (write.kind === 'delete') return this.#delete.run(this.#cluster, write.key).changes !== 0;
    this.#put.run(this.#cluster, write.key, Buffer.from(write.value, 'utf8'), revision, write.lease ?? null);
    return true;
  }

  #nextRevision(): void {
    this.#setRevision.run(this.head().revision + 1);
  }
}
