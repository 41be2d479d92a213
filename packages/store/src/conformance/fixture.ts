/** What the conformance suite needs to know of an adapter, and helpers that its parts share. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { Revision } from '@understudy/base';
import { StoreError } from '../errors.ts';
import type { Compare, Snapshot, Store, TransactionResult, Write } from '../port.ts';

/** A running store that handles can be opened on. */
export interface StoreFixture {
  /** Opens one more handle; each handle stands for one agent. The suite closes it. */
  open(cluster: string): Promise<Store>;
  /** Things that happen to a store and that a watch has to survive; `run` returns when the store serves again. */
  readonly disturbances: readonly { readonly name: string; run(): Promise<void> }[];
  /** Shortest time to live that is worth asking for, in ms. */
  readonly shortTtlMs: number;
  /** Texts that must not appear in messages. */
  readonly secrets: readonly string[];
  stop(): Promise<void>;
}

/** Generous, so that a busy machine does not fail a test; tests that wait for something end when it happens. */
export const PATIENCE_MS = 30_000;
export const CALL = { deadlineMs: 10_000 } as const;

/** Opens handles for one test, on a cluster name of its own, and closes them when the test ends. */
export class Handles {
  readonly cluster: string;
  readonly #fixture: StoreFixture;
  readonly #context: TestContext;

  constructor(fixture: StoreFixture, context: TestContext) {
    this.#fixture = fixture;
    this.#context = context;
    this.cluster = `t-${randomBytes(6).toString('hex')}`;
  }

  async open(cluster = this.cluster): Promise<Store> {
    const store = await this.#fixture.open(cluster);
    this.#context.after(() => store.close());
    return store;
  }

  async openPair(): Promise<[Store, Store]> {
    return [await this.open(), await this.open()];
  }

  async openMany(count: number): Promise<Store[]> {
    return Promise.all(Array.from({ length: count }, () => this.open()));
  }
}

export async function commit(store: Store, compares: readonly Compare[], writes: readonly Write[]): Promise<Revision> {
  const result: TransactionResult = await store.transact(compares, writes, CALL);
  assert.equal(result.kind, 'committed');
  return result.revision;
}

export async function put(store: Store, key: string, value: string): Promise<Revision> {
  return commit(store, [], [{ kind: 'put', key, value }]);
}

/** The values by key, for comparing with a plain object. */
export function values(snapshot: Snapshot): Record<string, string> {
  return Object.fromEntries([...snapshot.entries].map(([key, entry]) => [key, entry.value]));
}

/** Asserts that `promise` rejects with a StoreError of this code, and returns it. */
export async function rejectsWith(promise: Promise<unknown>, code: StoreError['code']): Promise<StoreError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof StoreError, `a StoreError, not ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return error;
  }
  return assert.fail(`expected StoreError ${code}, but the call succeeded`);
}

/** Adds 1 to a number under a key, reading and comparing until it is committed. Returns the number of attempts. */
export async function increment(store: Store, key: string): Promise<number> {
  for (let attempts = 1; ; attempts += 1) {
    const entry = (await store.read(CALL)).entries.get(key);
    const compare: Compare =
      entry === undefined ? { kind: 'absent', key } : { kind: 'unchanged', key, modRevision: entry.modRevision };
    const value = String(Number(entry?.value ?? '0') + 1);
    const result = await store.transact([compare], [{ kind: 'put', key, value }], CALL);
    if (result.kind === 'committed') return attempts;
    assert.ok(attempts < 10_000, 'a counter cannot be beaten for ever');
  }
}
