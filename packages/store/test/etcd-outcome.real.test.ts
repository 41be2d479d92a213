/**
 * Goal: a transaction is sent once, and its outcome is told truthfully when the answer is lost (the bug class of
 * clients that retry writes by themselves). Method: a proxy in front of a real etcd that loses answers.
 */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { openStore, type Store } from '@understudy/store';
import { type EtcdProgram, EtcdServers, etcdPrograms } from './support/etcd.ts';
import { LossyProxy } from './support/proxy.ts';

const CALL = { deadlineMs: 5_000 };
const TXN = '/v3/kv/txn';

for (const program of await etcdPrograms()) {
  describe(`etcd ${program.version}, lost answers`, () => {
    it('says unknown, and sends the transaction neither again nor elsewhere', async (t) => {
      const { store, direct, proxy } = await setUp(t, program);
      await store.transact([], [{ kind: 'put', key: 'k', value: 'before' }], CALL);
      proxy.loseAnswersTo = TXN;
      const write = store.transact([], [{ kind: 'put', key: 'k', value: 'after' }], CALL);
      await assert.rejects(write, { code: 'outcome-unknown', retry: 'unknown' });
      proxy.loseAnswersTo = null;
      assert.equal(proxy.passed.filter((path) => path === TXN).length, 2);
      const entry = (await direct.read(CALL)).entries.get('k');
      assert.equal(entry?.value, 'after');
      assert.equal(Number(entry?.modRevision), Number(entry?.createRevision) + 1);
      assert.equal((await store.read(CALL)).entries.get('k')?.value, 'after');
    });

    it('repeats reads and renewals elsewhere, which do no harm', async (t) => {
      const { store, proxy } = await setUp(t, program);
      const lease = await store.grantLease(60_000, CALL);
      for (const path of ['/v3/kv/range', '/v3/lease/keepalive', '/v3/lease/grant', '/v3/lease/revoke']) {
        proxy.loseAnswersTo = path;
        if (path.endsWith('range')) assert.equal((await store.read(CALL)).entries.size, 0);
        if (path.endsWith('keepalive')) assert.equal((await store.keepAlive(lease.id, CALL)).kind, 'alive');
        if (path.endsWith('grant')) assert.equal((await store.grantLease(60_000, CALL)).ttlMs, 60_000);
        if (path.endsWith('revoke')) await store.revoke(lease.id, CALL);
      }
    });

    it('sends a transaction to the next endpoint when the first one is known to have gone away', async (t) => {
      const { store, direct, proxy } = await setUp(t, program);
      await store.transact([], [{ kind: 'put', key: 'k', value: 'before' }], CALL);
      await proxy.close();
      // A transaction could be written before this process hears of the end of its socket, and would be unknown.
      await store.read(CALL);
      const result = await store.transact([{ kind: 'exists', key: 'k' }], [{ kind: 'delete', key: 'k' }], CALL);
      assert.equal(result.kind, 'committed');
      assert.equal((await direct.read(CALL)).entries.size, 0);
    });
  });
}

async function setUp(
  t: TestContext,
  program: EtcdProgram,
): Promise<{ store: Store; direct: Store; proxy: LossyProxy }> {
  const servers = await EtcdServers.start(program, { members: 1 });
  t.after(() => servers.stop());
  const proxy = await LossyProxy.start(servers.ports[0] ?? assert.fail());
  t.after(() => proxy.close());
  const store = await openStore({ kind: 'etcd', endpoints: [proxy.endpoint, ...servers.endpoints], cluster: 'c' });
  t.after(() => store.close());
  const direct = await openStore({ kind: 'etcd', endpoints: servers.endpoints, cluster: 'c' });
  t.after(() => direct.close());
  return { store, direct, proxy };
}
