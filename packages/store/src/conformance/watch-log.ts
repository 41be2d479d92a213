/** A watch listener for tests: checks what holds for every delivery, and lets a test wait for a state. */

import assert from 'node:assert/strict';
import { StoreError } from '../errors.ts';
import type { Snapshot, Store, Watch, WatchListener } from '../port.ts';
import { PATIENCE_MS } from './fixture.ts';

interface Waiter {
  readonly holds: () => boolean;
  readonly resolve: () => void;
}

export class WatchLog implements WatchListener {
  readonly snapshots: Snapshot[] = [];
  readonly errors: StoreError[] = [];
  readonly broken: string[] = [];
  readonly #waiters = new Set<Waiter>();
  #watch: Watch | null = null;
  #closed = false;

  static start(store: Store): WatchLog {
    const log = new WatchLog();
    log.#watch = store.watch(log);
    return log;
  }

  onSnapshot(snapshot: Snapshot): void {
    const previous = this.snapshots.at(-1);
    if (this.#closed) this.broken.push(`revision ${snapshot.revision} came after close`);
    if (previous !== undefined && snapshot.revision <= previous.revision) {
      this.broken.push(`revision ${snapshot.revision} came after ${previous.revision}`);
    }
    for (const entry of snapshot.entries.values()) {
      if (entry.modRevision > snapshot.revision) this.broken.push(`${entry.key} is newer than its snapshot`);
    }
    this.snapshots.push(snapshot);
    this.#wake();
  }

  onError(error: StoreError): void {
    if (!(error instanceof StoreError)) this.broken.push(`not a StoreError: ${String(error)}`);
    this.errors.push(error);
    this.#wake();
  }

  /** Resolves with the first snapshot, from the newest on, for which `holds`; rejects after {@link PATIENCE_MS}. */
  async until(what: string, holds: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
    await this.#waitFor(what, () => {
      const last = this.snapshots.at(-1);
      return last !== undefined && holds(last);
    });
    return this.snapshots.at(-1) ?? assert.fail('unreachable: a snapshot was there');
  }

  async untilError(what: string, holds: (error: StoreError) => boolean): Promise<StoreError> {
    await this.#waitFor(what, () => this.errors.some(holds));
    return this.errors.find(holds) ?? assert.fail('unreachable: an error was there');
  }

  /** Ends the watch and fails if anything was delivered that may not be. */
  async close(): Promise<void> {
    await this.#watch?.close();
    this.#closed = true;
    this.check();
  }

  check(): void {
    assert.deepEqual(this.broken, []);
  }

  #waitFor(what: string, holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        holds,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const last = this.snapshots.at(-1);
        const state = last === undefined ? 'nothing' : `revision ${last.revision}: ${[...last.entries.keys()]}`;
        const errors = this.errors.map((error) => error.message).join('; ');
        reject(new Error(`the watch did not show ${what}; last was ${state}; errors: ${errors || 'none'}`));
      }, PATIENCE_MS);
      this.#waiters.add(waiter);
    });
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) {
      if (!waiter.holds()) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }
}
