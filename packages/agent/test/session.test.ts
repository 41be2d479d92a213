import { monotonicMs } from '@understudy/base';
/** Sessions on a real local store: one agent per name; a dead predecessor's session is taken over; a lost lease comes back. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type Incarnation, incarnation, memberId } from '@understudy/core';
import { openStore, type Store, StoreError } from '@understudy/store';
import { Session } from '../src/session/session.ts';
import { StoreLink } from '../src/store/link.ts';
import { eventually } from './support/eventually.ts';

const N1 = memberId('n1');
const TTL_MS = 2_000;

/** Undone in the opposite order: a folder goes when nobody writes into it any more. */
const cleanups = new WeakMap<TestContext, (() => Promise<unknown>)[]>();

function atEnd(context: TestContext, undo: () => Promise<unknown>): void {
  const known = cleanups.get(context);
  if (known !== undefined) {
    known.push(undo);
    return;
  }
  const all = [undo];
  cleanups.set(context, all);
  context.after(async () => {
    for (const each of all.toReversed()) await each();
  });
}

async function storeFor(context: TestContext): Promise<() => Promise<Store>> {
  const folder = await mkdtemp(join(tmpdir(), 'us-session-'));
  atEnd(context, () => rm(folder, { recursive: true, force: true }));
  return async () => {
    const store = await openStore({ kind: 'local', path: join(folder, 'store.db'), cluster: 'test' });
    atEnd(context, () => store.close());
    return store;
  };
}

interface Options {
  readonly predecessors?: readonly Incarnation[];
  readonly ttlMs?: () => number;
}

function sessionOn(context: TestContext, store: Store, name: string, options: Options = {}) {
  const link = new StoreLink({ store, runningMs: monotonicMs, onContent: () => undefined });
  link.start();
  const session = new Session({
    store,
    link,
    member: N1,
    incarnation: incarnation(name),
    predecessors: options.predecessors ?? [],
    ttlMs: options.ttlMs ?? (() => TTL_MS),
    onChange: () => undefined,
  });
  session.start();
  atEnd(context, async () => {
    await session.close();
    await link.stop();
  });
  return { session, link };
}

const boundTo = (store: Store): Store => ({
  read: (options) => store.read(options),
  transact: (...call) => store.transact(...call),
  grantLease: (...call) => store.grantLease(...call),
  keepAlive: (...call) => store.keepAlive(...call),
  revoke: (...call) => store.revoke(...call),
  look: (options) => store.look(options),
  adopt: (snapshot) => store.adopt(snapshot),
  watch: (listener) => store.watch(listener),
  describe: () => store.describe(),
  close: () => store.close(),
});

const held = (session: Session): true | null => (session.leaseUntil === null ? null : true);

describe('session', () => {
  it('is held under this incarnation, no longer than the lease from when its renewal was sent', async (context) => {
    const open = await storeFor(context);
    const { session, link } = sessionOn(context, await open(), 'a');
    await eventually('held', () => held(session));
    assert.equal(link.decoded?.content.sessions.get(N1)?.value, 'a');
    const first = session.leaseUntil;
    assert.ok(first !== null && first <= monotonicMs() + TTL_MS);
    await eventually('renewed', () => ((session.leaseUntil ?? 0) > first ? true : null));
  });

  it('is refused to a second live agent of the same name, and free when the first has ended', async (context) => {
    const open = await storeFor(context);
    const first = sessionOn(context, await open(), 'a');
    await eventually('held', () => held(first.session));
    const second = sessionOn(context, await open(), 'b');
    await eventually('foreign', () => (second.session.state.kind === 'foreign' ? true : null));
    assert.equal(second.session.leaseUntil, null);
    await first.session.close();
    await eventually('taken over', () => held(second.session));
  });

  it('is taken over at once from a predecessor that is known to be dead', async (context) => {
    const open = await storeFor(context);
    const store = await open();
    const lease = await store.grantLease(60_000, { deadlineMs: 1_000 });
    await store.transact([], [{ kind: 'put', key: 'sessions/n1', value: '"dead"', lease: lease.id }], {
      deadlineMs: 1_000,
    });
    const { session, link } = sessionOn(context, await open(), 'b', { predecessors: [incarnation('dead')] });
    await eventually('held', () => held(session), 5_000);
    assert.equal(link.decoded?.content.sessions.get(N1)?.value, 'b');
  });

  it('is not believed longer than a shorter lease that may have taken it over', async (context) => {
    const open = await storeFor(context);
    const real = await open();
    const longMs = 8_000;
    const shortMs = 1_000;
    let ttlMs = longMs;
    let cut = false;
    const lost = () => Promise.reject(new StoreError('outcome-unknown', 'The answer was lost.'));
    const refused = () => Promise.reject(new StoreError('unavailable', 'The store was cut off.'));
    // The real store, from which answers do not come back after one transaction more.
    const store: Store = {
      ...boundTo(real),
      read: (options) => (cut ? refused() : real.read(options)),
      keepAlive: (id, options) => (cut ? refused() : real.keepAlive(id, options)),
      grantLease: (ms, options) => (cut ? refused() : real.grantLease(ms, options)),
      transact: async (...call) => {
        if (cut) return refused();
        const result = await real.transact(...call);
        const takesOver = call[1].some(({ key }) => key.startsWith('sessions/'));
        if (ttlMs === longMs || !takesOver) return result;
        cut = true;
        return lost();
      },
    };
    const { session } = sessionOn(context, store, 'a', { ttlMs: () => ttlMs });
    await eventually('held', () => held(session));
    const long = session.leaseUntil ?? 0;
    // As after a change of the configuration.
    ttlMs = shortMs;
    await eventually('sent', () => (cut ? true : null));
    const until = session.leaseUntil;
    assert.ok(until === null || until <= monotonicMs() + shortMs, `believed until ${until}`);
    await eventually('given up', () => (session.state.kind === 'none' ? true : null));
    assert.ok(monotonicMs() < long, 'before the long lease would have ended');
    // Back at the old time to live, the old lease is still not renewed: the key may be the new one's.
    const before = (await real.read({ deadlineMs: 1_000 })).entries.get('sessions/n1')?.lease;
    ttlMs = longMs;
    cut = false;
    await eventually('held again', () => held(session));
    const after = (await real.read({ deadlineMs: 1_000 })).entries.get('sessions/n1')?.lease;
    assert.notEqual(after, before, 'by a lease of its own');
  });

  it('comes back after its lease was lost', async (context) => {
    const open = await storeFor(context);
    const { session, link } = sessionOn(context, await open(), 'a');
    await eventually('held', () => held(session));
    const store = await open();
    const lease = link.snapshot?.entries.get('sessions/n1')?.lease;
    assert.ok(lease != null);
    await store.revoke(lease, { deadlineMs: 1_000 });
    await eventually('key gone', () => (link.decoded?.content.sessions.has(N1) === false ? true : null));
    await eventually('held again', () =>
      link.decoded?.content.sessions.get(N1)?.value === 'a' && session.leaseUntil !== null ? true : null,
    );
  });
});
