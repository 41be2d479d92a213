/** The store is away: writes go on, and whatever dies and comes back in that time, too. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { signalProcess } from '@understudy/base/processes';
import { DEFAULT_CONFIG } from '@understudy/core';
import { Etcd } from './support/etcd.ts';
import { eventually } from './support/eventually.ts';
import { TestCluster, type TestNode } from './support/nodes.ts';

describe('a cluster whose store does not answer', { timeout: 240_000 }, () => {
  let etcd: Etcd;
  let cluster: TestCluster;
  let leader: TestNode;

  before(async () => {
    etcd = await Etcd.start();
    cluster = await TestCluster.make(['n1', 'n2', 'n3'], { store: { kind: 'etcd', endpoints: [etcd.endpoint] } });
    for (const node of cluster.nodes) cluster.start(node);
    leader = await cluster.ready(cluster.node('n1'), 2);
  });
  after(async () => {
    await cluster.destroy();
    await etcd.end();
  });

  /** Writes on one connection until `until` holds: no write fails, so nothing was ever closed. */
  async function writesGoOnUntil(until: () => Promise<boolean>): Promise<void> {
    const client = await cluster.connect(leader);
    try {
      await client.query('create table if not exists t (at timestamptz)');
      await eventually('the end of the outage', async () => {
        await client.query('insert into t values (clock_timestamp())');
        return (await until().catch(() => false)) ? true : null;
      });
    } finally {
      await client.end();
    }
  }

  it('takes writes for longer than every lease, under its old leader and under a new agent of it', async () => {
    const { epoch } = await cluster.status(leader);
    etcd.freeze();
    const old = await cluster.agentProcess(leader);
    assert.ok(old !== null);
    const isStale = async () => (await cluster.status(leader)).store.kind === 'stale';
    await writesGoOnUntil(isStale);
    signalProcess(old, 'SIGKILL');
    await writesGoOnUntil(async () => {
      const now = await cluster.agentProcess(leader);
      return now !== null && now.pid !== old.pid && (await isStale());
    });
    // Longer than the lease, and than the deadline that the guard knew.
    const endsAt = performance.now() + 1.5 * DEFAULT_CONFIG.leaseTtlMs;
    await writesGoOnUntil(async () => performance.now() > endsAt);
    assert.ok(await isStale());
    etcd.thaw();
    await writesGoOnUntil(async () => (await cluster.status(leader)).store.kind === 'current');
    const after = await cluster.ready(leader, 2);
    assert.equal(after.name, leader.name);
    assert.equal((await cluster.status(leader)).epoch, epoch, 'nobody was elected');
  });
});
