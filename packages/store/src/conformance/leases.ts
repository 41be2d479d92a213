/** Conformance: leases. Times are only checked in the direction that matters: nothing ends too early. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Lease, Store, Write } from '../port.ts';
import { CALL, commit, Handles, put, rejectsWith, type StoreFixture, values } from './fixture.ts';
import { WatchLog } from './watch-log.ts';

export function leaseTests(fixture: () => StoreFixture): void {
  const grant = (store: Store): Promise<Lease> => store.grantLease(fixture().shortTtlMs, CALL);
  const under = (lease: Lease, key: string): Write => ({ kind: 'put', key, value: 'leased', lease: lease.id });

  it('grants at least the time that was asked for, under another id each time', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const [a, b] = [await grant(store), await grant(store)];
    assert.ok(a.ttlMs >= fixture().shortTtlMs);
    assert.notEqual(a.id, b.id);
    await commit(store, [], [under(a, 'k')]);
    assert.equal((await store.read(CALL)).entries.get('k')?.lease, a.id);
    await rejectsWith(store.grantLease(0, CALL), 'invalid-argument');
    await rejectsWith(store.grantLease(Number.NaN, CALL), 'invalid-argument');
  });

  it('deletes all keys of a lease that runs out, at one revision, tells watches, and not before its time', async (t) => {
    const [owner, other] = await new Handles(fixture(), t).openPair();
    const log = WatchLog.start(other);
    await put(owner, 'stays', '1');
    const sentMs = performance.now();
    const lease = await grant(owner);
    const written = await commit(owner, [], [under(lease, 'a'), under(lease, 'b')]);
    await log.until('the leased keys', ({ entries }) => entries.size === 3);
    const after = await log.until('the end of the lease', ({ entries }) => entries.size < 3);
    assert.ok(performance.now() - sentMs >= lease.ttlMs);
    assert.ok(after.revision > written);
    assert.deepEqual(values(after), { stays: '1' });
    assert.deepEqual(values(await owner.read(CALL)), { stays: '1' });
    await log.close();
  });

  it('keeps a lease that is renewed, and says so when it cannot any more', async (t) => {
    const [owner, other] = await new Handles(fixture(), t).openPair();
    const lease = await grant(owner);
    await commit(owner, [], [under(lease, 'k')]);
    const log = WatchLog.start(other);
    await log.until('the key', ({ entries }) => entries.has('k'));
    const endMs = performance.now() + lease.ttlMs * 2.5;
    while (performance.now() < endMs) {
      const renewed = await owner.keepAlive(lease.id, CALL);
      assert.deepEqual(renewed, { kind: 'alive', ttlMs: lease.ttlMs });
      await new Promise((resolve) => setTimeout(resolve, lease.ttlMs / 10));
    }
    assert.ok((await other.read(CALL)).entries.has('k'));
    await log.until('the end of the lease', ({ entries }) => !entries.has('k'));
    assert.deepEqual(await owner.keepAlive(lease.id, CALL), { kind: 'expired' });
    assert.deepEqual(await other.keepAlive(lease.id, CALL), { kind: 'expired' });
    await log.close();
  });

  it('writes nothing under a lease that is gone', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const lease = await grant(store);
    await store.revoke(lease.id, CALL);
    const error = await rejectsWith(
      store.transact([], [{ kind: 'put', key: 'first', value: '1' }, under(lease, 'second')], CALL),
      'lease-expired',
    );
    assert.equal(error.retry, 'unsafe');
    assert.equal((await store.read(CALL)).entries.size, 0);
  });

  it('revokes at once, and again without complaint', async (t) => {
    const [owner, other] = await new Handles(fixture(), t).openPair();
    const lease = await owner.grantLease(600_000, CALL);
    await commit(owner, [], [under(lease, 'k'), { kind: 'put', key: 'stays', value: '1' }]);
    const log = WatchLog.start(other);
    await log.until('the key', ({ entries }) => entries.has('k'));
    await other.revoke(lease.id, CALL);
    assert.deepEqual(values(await owner.read(CALL)), { stays: '1' });
    await log.until('the key gone', ({ entries }) => !entries.has('k'));
    await owner.revoke(lease.id, CALL);
    assert.deepEqual(await owner.keepAlive(lease.id, CALL), { kind: 'expired' });
    await log.close();
  });

  it('detaches a key that is written again without a lease', async (t) => {
    const store = await new Handles(fixture(), t).open();
    const lease = await store.grantLease(600_000, CALL);
    await commit(store, [], [under(lease, 'k')]);
    await put(store, 'k', 'mine');
    assert.equal((await store.read(CALL)).entries.get('k')?.lease, null);
    await store.revoke(lease.id, CALL);
    assert.deepEqual(values(await store.read(CALL)), { k: 'mine' });
  });

  it('lets a key be taken over only after the lease of its owner has ended', async (t) => {
    const [first, second] = await new Handles(fixture(), t).openPair();
    const sentMs = performance.now();
    const lease = await grant(first);
    await commit(first, [{ kind: 'absent', key: 'leader' }], [under(lease, 'leader')]);
    for (;;) {
      const write: Write = { kind: 'put', key: 'leader', value: 'second' };
      const result = await second.transact([{ kind: 'absent', key: 'leader' }], [write], CALL);
      if (result.kind === 'committed') break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(performance.now() - sentMs >= lease.ttlMs);
    assert.deepEqual(await first.keepAlive(lease.id, CALL), { kind: 'expired' });
  });
}
