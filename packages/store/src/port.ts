/**
 * The consensus-store port: what the rest of Understudy may ask of the place where decisions are kept.
 *
 * Only decisions go through here (leadership record, acker set, requests, configuration, history): tens of
 * small keys of one cluster, a few writes a minute. That is why a read returns the whole cluster prefix and
 * a watch delivers whole snapshots: nobody has to reason about a half-seen state.
 *
 * Two rules hold for every adapter (C1, C13):
 * - reads are linearizable: a read that starts after a write was confirmed sees that write;
 * - a transaction whose outcome is unknown is reported as unknown and never sent a second time by the store.
 */

import type { Brand, Revision } from '@understudy/base';
import type { StoreError } from './errors.ts';

/** Name of a lease, unique in the store. Opaque: compare for equality only. */
export type LeaseId = Brand<string, 'LeaseId'>;

/** Stable random name of the store itself; another value means: another store, whatever its address says. */
export type StoreId = Brand<string, 'StoreId'>;

export interface KeyValue {
  /** Key without the prefix of the cluster. */
  readonly key: string;
  readonly value: string;
  /** Revision at which the key was created; deleting and creating it again changes this. */
  readonly createRevision: Revision;
  /** Revision of the last write to the key. */
  readonly modRevision: Revision;
  /** The lease that the key lives and dies with, or null when it stays until deleted. */
  readonly lease: LeaseId | null;
}

/** Everything the store holds for one cluster, at one revision. */
export interface Snapshot {
  readonly storeId: StoreId;
  readonly revision: Revision;
  /** By key without the prefix of the cluster. */
  readonly entries: ReadonlyMap<string, KeyValue>;
}

/** A condition of a transaction. All of them have to hold, or nothing is written. */
export type Compare =
  | { readonly kind: 'absent'; readonly key: string }
  | { readonly kind: 'exists'; readonly key: string }
  | { readonly kind: 'unchanged'; readonly key: string; readonly modRevision: Revision };

/** A write of one key. A put without a lease detaches the key from the lease it had. */
export type Write =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease?: LeaseId }
  | { readonly kind: 'delete'; readonly key: string };

export type TransactionResult =
  /** All compares held and all writes are durable. `revision` is the one at which they became visible. */
  | { readonly kind: 'committed'; readonly revision: Revision }
  /** A compare did not hold at `revision`; nothing was written. */
  | { readonly kind: 'rejected'; readonly revision: Revision };

export interface Lease {
  readonly id: LeaseId;
  /** What the store granted, which may be more than was asked for (etcd: whole seconds, with a minimum). */
  readonly ttlMs: number;
}

export type KeepAliveResult =
  /** Renewed. Count `ttlMs` from the moment when the renewal was *sent*, on a monotonic clock (C3). */
  | { readonly kind: 'alive'; readonly ttlMs: number }
  /** The lease is gone and so are its keys. It never comes back; grant another one. */
  | { readonly kind: 'expired' };

export interface CallOptions {
  /** How long the call may take, in ms of the monotonic clock, from now. Positive. */
  readonly deadlineMs: number;
}

export interface WatchListener {
  /**
   * Called once at the start and after every change of the cluster's keys. Several changes may come as one
   * snapshot; the last state always comes. Revisions only grow. Must not throw.
   */
  onSnapshot(snapshot: Snapshot): void;
  /** Called when the watch lost the store. It goes on trying by itself; the next snapshot says it is back. */
  onError(error: StoreError): void;
}

export interface Watch {
  /** Ends the watch. After the promise resolves, the listener is not called any more. */
  close(): Promise<void>;
}

export interface Store {
  /**
   * Linearizable read of every key of the cluster.
   * Throws StoreError; a read changes nothing, so its `retry` is never `unknown`.
   */
  read(options: CallOptions): Promise<Snapshot>;

  /**
   * Writes all of `writes` if all of `compares` hold, atomically and durably.
   * Throws StoreError: `retry` is `unknown` when it may have been applied (read before deciding anything),
   * otherwise it was certainly not applied. Never sent again by the store when the outcome is unknown.
   */
  transact(compares: readonly Compare[], writes: readonly Write[], options: CallOptions): Promise<TransactionResult>;

  /** Makes a lease of at least `ttlMs`. An unknown outcome costs nothing: an unused lease runs out by itself. */
  grantLease(ttlMs: number, options: CallOptions): Promise<Lease>;

  /** Renews a lease once, for its whole time to live. */
  keepAlive(id: LeaseId, options: CallOptions): Promise<KeepAliveResult>;

  /** Ends a lease now and deletes its keys. A lease that is already gone is no error. */
  revoke(id: LeaseId, options: CallOptions): Promise<void>;

  /**
   * Reads everything without regard to what this store has seen before: what is there now, also when that is another store or an
   * older state of it (`wrong-cluster`, `revision-went-back`), for which all other calls fail. Nothing else is done on it.
   */
  look(options: CallOptions): Promise<Snapshot>;

  /**
   * From now on the store is the one that `snapshot` (of `look`) shows. What was sent before ends, with an unknown outcome where it
   * may have been applied; watches start over.
   */
  adopt(snapshot: Snapshot): Promise<void>;

  /** Starts delivering snapshots. Reconnects, resumes and re-reads after compaction by itself. */
  watch(listener: WatchListener): Watch;

  /** Names the store for messages, without secrets. */
  describe(): string;

  /** Ends all watches and calls and frees sockets, files and timers. Can be called twice. */
  close(): Promise<void>;
}
