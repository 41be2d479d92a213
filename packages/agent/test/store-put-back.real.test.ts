/** The store is full, emptied, put back or exchanged, and power goes away everywhere: nothing acknowledged is lost, and there is a way back. */

import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { signalProcess } from '@understudy/base/processes';
import { killTree } from '../src/guard/proc.ts';
import type { StatusView } from '../src/index.ts';
import { Etcd } from './support/etcd.ts';
import { eventually } from './support/eventually.ts';
import { TestCluster, type TestNode, TOKEN } from './support/nodes.ts';

describe('a store that people have put their hands on', { timeout: 400_000 }, () => {
  let etcd: Etcd;
  let cluster: TestCluster;
  let leader: TestNode;
  let rows = 0;

  before(async () => {
    etcd = await Etcd.start();
    cluster = await TestCluster.make(['n1', 'n2', 'n3'], { store: { kind: 'etcd', endpoints: [etcd.endpoint] } });
    for (const node of cluster.nodes) cluster.start(node);
    leader = await cluster.ready(cluster.node('n1'), 2);
    await write('create table t (n int primary key)');
  });
  after(async () => {
    await cluster.destroy();
    await etcd.end();
  });

  async function write(sql: string): Promise<void> {
    const client = await cluster.connect(leader);
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }

  /** One acknowledged row more. */
  const acknowledge = () => write(`insert into t values (${++rows})`);

  async function nothingIsLost(): Promise<void> {
    const client = await cluster.connect(leader);
    try {
      const answer = await client.query('select count(*)::int as n from t');
      assert.equal(answer.rows[0].n, rows);
    } finally {
      await client.end();
    }
  }

  async function restore(node: TestNode, body: object): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`${node.apiUrl}/understudy/store/restore`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    return { status: response.status, text: await response.text() };
  }

  const everywhere = (what: string, holds: (status: StatusView) => boolean, nodes = cluster.nodes) =>
    eventually(what, async () => {
      for (const node of nodes) if (!holds(await cluster.status(node))) return null;
      return true;
    });

  /** The way back: whoever knows most says what it would do, and does it. */
  async function restoreFromMembers(): Promise<void> {
    await eventually('an agent restores', async () => {
      for (const node of cluster.nodes) {
        if ((await restore(node, { from: 'members', plan: 'only' })).text.includes('"losses":[]')) {
          return (await restore(node, { from: 'members' })).status === 200 ? true : null;
        }
      }
      return null;
    });
    leader = await cluster.ready(cluster.node('n1'), 2);
    await nothingIsLost();
    await acknowledge();
  }

  /** Every host of the database loses its power in the same moment. */
  async function losePower(): Promise<void> {
    for (const node of cluster.nodes) {
      const found = [
        await cluster.guardProcess(node),
        await cluster.agentProcess(node),
        await cluster.serverProcess(node),
      ];
      for (const each of found) if (each !== null) signalProcess(each, 'SIGSTOP');
      for (const each of found) if (each !== null) killTree(each);
    }
    // What a file system in memory held is gone.
    for (const node of cluster.nodes) await rm(join(node.runDir, 'store-memory.json'), { force: true });
    await eventually('everything is dead', async () => {
      for (const node of cluster.nodes) if ((await cluster.agentProcess(node)) !== null) return null;
      return true;
    });
  }

  const isRefused = ({ store, phase }: StatusView) =>
    store.kind !== 'current' && /which this agent has seen/.test(store.problem ?? '') && phase !== 'promoting';

  it('says within seconds that it takes no writes, and goes on when it does', async () => {
    const members = (await etcd.call('/v3/cluster/member/list', {})) as { readonly members: readonly { ID: string }[] };
    const memberID = members.members[0]?.ID;
    await etcd.call('/v3/maintenance/alarm', { action: 'ACTIVATE', memberID, alarm: 'NOSPACE' });
    await everywhere('the alarm is seen', ({ store, warnings }) => {
      return /space/.test(store.refusedWrite ?? '') && warnings.some((text) => text.includes('takes no writes'));
    });
    await acknowledge();
    const explained = await fetch(`${leader.apiUrl}/understudy/explain`);
    assert.match(await explained.text(), /No failover is possible: the store takes no writes/);
    await etcd.call('/v3/maintenance/alarm', { action: 'DEACTIVATE', memberID, alarm: 'NOSPACE' });
    await everywhere(
      'writes are taken',
      ({ store }) => store.kind === 'current' && (store.refusedWrite ?? null) === null,
    );
  });

  it('is restored by the running primary after it was emptied', async () => {
    const { epoch } = await cluster.status(leader);
    await etcd.wipe();
    await everywhere('the empty store is refused', isRefused);
    await acknowledge();
    const others = cluster.nodes.filter((node) => node !== leader);
    for (const other of others) assert.equal((await restore(other, { from: 'members' })).status, 409);
    const answer = await restore(leader, {});
    assert.equal(answer.status, 200, answer.text);
    await everywhere(
      'all believe it again',
      ({ store, leader: leads }) => store.kind === 'current' && leads === leader.name,
    );
    assert.equal((await cluster.status(leader)).epoch, (epoch ?? 0) + 1);
    leader = await cluster.ready(cluster.node('n1'), 2);
    await acknowledge();
  });

  for (const [name, token] of [
    ['with the same identity', 'etcd-cluster'],
    ['as another cluster', 'another-cluster'],
  ] as const) {
    it(`proves nothing after a loss of power when a snapshot was put back ${name}`, async () => {
      const snapshot = await etcd.snapshot();
      const { epoch } = await cluster.status(leader);
      // A newer epoch than the snapshot's, with a row of its own.
      const server = await cluster.serverProcess(leader);
      assert.ok(server !== null);
      killTree(server);
      await everywhere('a newer epoch', (status) => (status.epoch ?? 0) > (epoch ?? 0) && status.phase === 'open');
      leader = await cluster.ready(cluster.node('n1'), 2);
      await acknowledge();
      await losePower();
      await etcd.restore(snapshot, token);
      const [first, ...rest] = cluster.nodes;
      assert.ok(first !== undefined);
      cluster.start(first);
      await everywhere('the old store is refused', isRefused, [first]);
      // Who is missing may know more.
      await eventually('a restore names who is missing', async () => {
        const answer = await restore(first, { from: 'members' });
        return answer.status === 409 && /RESTORE_LOSES.*n2 does not answer.*lost/.test(answer.text) ? true : null;
      });
      for (const node of rest) cluster.start(node);
      await everywhere('nobody opens', isRefused);
      for (const node of cluster.nodes) assert.notEqual((await cluster.status(node)).phase, 'promoting');
      await restoreFromMembers();
    });
  }

  it('is brought back from the members after a loss of power with an empty store, and without a command with the store intact', async () => {
    await losePower();
    await etcd.wipe();
    for (const node of cluster.nodes) cluster.start(node);
    await everywhere('the empty store is refused', isRefused);
    await restoreFromMembers();
    await losePower();
    await etcd.kill();
    await etcd.again();
    for (const node of cluster.nodes) cluster.start(node);
    leader = await cluster.ready(cluster.node('n1'), 2);
    await nothingIsLost();
  });
});
