/** The etcd adapter: etcd 3.4 and newer over its JSON gateway. */

import type { Deadline } from '@understudy/base';
import type { EtcdStoreConfig } from '../config.ts';
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
  TransactionResult,
  Watch,
  WatchListener,
  Write,
} from '../port.ts';
import { EtcdCluster, RANGE } from './cluster.ts';
import { Credentials } from './credentials.ts';
import {
  KeySpace,
  leaseGrantResponse,
  leaseKeepAliveResponse,
  leaseRevokeResponse,
  rangeResponse,
  txnResponse,
} from './messages.ts';
import { TlsFiles } from './tls-files.ts';
import { EtcdWatch } from './watcher.ts';

/**
 * Opens a store in etcd without talking to it yet. Throws StoreError `invalid-config` when a file that the
 * configuration names cannot be read or is not what it should be.
 */
export function openEtcdStore(config: EtcdStoreConfig): Store {
  return new EtcdStore(config, new TlsFiles(config.tls), loadCredentials(config));
}

class EtcdStore implements Store {
  readonly #config: EtcdStoreConfig;
  readonly #keys: KeySpace;
  readonly #cluster: EtcdCluster;
  readonly #tls: TlsFiles;
  readonly #credentials: Credentials | null;
  readonly #watches = new Set<RunningWatch>();

  constructor(config: EtcdStoreConfig, tls: TlsFiles, credentials: Credentials | null) {
    this.#config = config;
    this.#keys = new KeySpace(config.cluster);
    this.#tls = tls;
    this.#credentials = credentials;
    this.#cluster = this.#connect();
  }

  async read(options: CallOptions): Promise<Snapshot> {
    return this.#read(callDeadline(options.deadlineMs));
  }

  async transact(
    compares: readonly Compare[],
    writes: readonly Write[],
    options: CallOptions,
  ): Promise<TransactionResult> {
    checkTransaction(compares, writes);
    const body = this.#keys.txnRequest(compares, writes);
    const call = { path: '/v3/kv/txn', body, response: txnResponse };
    const { header, succeeded } = await this.#cluster.once(call, callDeadline(options.deadlineMs));
    return { kind: succeeded ? 'committed' : 'rejected', revision: header.revision };
  }

  async grantLease(ttlMs: number, options: CallOptions): Promise<Lease> {
    checkLeaseTtl(ttlMs);
    const body = { ID: '0', TTL: String(Math.ceil(ttlMs / 1000)) };
    const call = { path: '/v3/lease/grant', body, response: leaseGrantResponse };
    const granted = await this.#cluster.repeatable(call, callDeadline(options.deadlineMs));
    return { id: granted.ID as LeaseId, ttlMs: Number(granted.TTL) * 1000 };
  }

  async keepAlive(id: LeaseId, options: CallOptions): Promise<KeepAliveResult> {
    const deadline = callDeadline(options.deadlineMs);
    const call = { path: '/v3/lease/keepalive', body: { ID: id }, response: leaseKeepAliveResponse };
    const first = await this.#cluster.repeatable(call, deadline);
    if (Number(first.result.TTL) > 0) return { kind: 'alive', ttlMs: Number(first.result.TTL) * 1000 };
    // A new leader may not have applied the grant yet when it says "not found". After a linearizable read it has
    // caught up; losing a lease means giving up leadership, so it is worth asking twice.
    await this.#cluster.probe(deadline);
    const second = await this.#cluster.repeatable(call, deadline);
    const ttlMs = Number(second.result.TTL) * 1000;
    return ttlMs > 0 ? { kind: 'alive', ttlMs } : { kind: 'expired' };
  }

  async revoke(id: LeaseId, options: CallOptions): Promise<void> {
    const call = { path: '/v3/lease/revoke', body: { ID: id }, response: leaseRevokeResponse };
    try {
      await this.#cluster.repeatable(call, callDeadline(options.deadlineMs));
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'lease-expired')) throw error;
    }
  }

  watch(listener: WatchListener): Watch {
    if (this.#cluster.closing.aborted) {
      throw new StoreError('closed', `The ${this.describe()} was closed.`);
    }
    const running: RunningWatch = { listener, watch: this.#follow(listener) };
    this.#watches.add(running);
    return {
      close: async () => {
        this.#watches.delete(running);
        await running.watch.close();
      },
    };
  }

  async look(options: CallOptions): Promise<Snapshot> {
    // Connections of their own, which know of nothing that was before.
    const cluster = this.#connect();
    try {
      return await this.#readFrom(cluster, callDeadline(options.deadlineMs));
    } finally {
      cluster.close();
    }
  }

  async adopt(snapshot: Snapshot): Promise<void> {
    this.#cluster.adopt(snapshot.storeId, snapshot.revision);
    const running = [...this.#watches];
    await Promise.all(running.map(({ watch }) => watch.close()));
    for (const each of running) if (this.#watches.has(each)) each.watch = this.#follow(each.listener);
  }

  describe(): string {
    const user = this.#config.username === undefined ? '' : ` as ${this.#config.username}`;
    return `etcd store ${this.#config.endpoints.join(', ')}${user}, cluster ${this.#config.cluster}`;
  }

  async close(): Promise<void> {
    const watches = [...this.#watches].map(({ watch }) => watch.close());
    this.#watches.clear();
    this.#cluster.close();
    await Promise.all(watches);
  }

  #read(deadline: Deadline): Promise<Snapshot> {
    return this.#readFrom(this.#cluster, deadline);
  }

  async #readFrom(cluster: EtcdCluster, deadline: Deadline): Promise<Snapshot> {
    const call = { path: RANGE, body: this.#keys.rangeRequest(), response: rangeResponse };
    return this.#keys.snapshot(await cluster.repeatable(call, deadline));
  }

  #connect(): EtcdCluster {
    const { endpoints } = this.#config;
    return new EtcdCluster({ endpoints, tls: this.#tls, credentials: this.#credentials, keys: this.#keys });
  }

  #follow(listener: WatchListener): EtcdWatch {
    return new EtcdWatch(this.#cluster, this.#keys, (deadline) => this.#read(deadline), listener);
  }
}

/** A watch that starts over when the store is exchanged. */
interface RunningWatch {
  readonly listener: WatchListener;
  watch: EtcdWatch;
}

function loadCredentials(config: EtcdStoreConfig): Credentials | null {
  if (config.username === undefined || config.passwordFile === undefined) return null;
  const credentials = new Credentials(config.username, config.passwordFile);
  credentials.readPassword();
  return credentials;
}
