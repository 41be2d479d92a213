/** Three real nodes on one store: the primary is killed with its host's processes, writes go on, nothing acknowledged is missing. */

import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { isAlive, signalProcess } from '@understudy/base/processes';
import { historyViewSchema } from '../src/api/views.ts';
import { killTree } from '../src/guard/proc.ts';
import { eventually } from './support/eventually.ts';
import { Flood } from './support/flood.ts';
import { TestCluster, type TestNode, TOKEN } from './support/nodes.ts';

describe('three nodes', { timeout: 240_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await TestCluster.make(['n1', 'n2', 'n3']);
    for (const node of cluster.nodes) cluster.start(node);
  });
  after(() => cluster.destroy());

  const acknowledged: number[] = [];
  let next = 0;

  /** Writes one row wherever that is possible; whoever does not answer is passed over. */
  async function write(): Promise<true | null> {
    for (const node of cluster.nodes) {
      const id = next++;
      try {
        const client = await cluster.connect(node);
        try {
          await client.query('insert into t values ($1)', [id]);
          acknowledged.push(id);
          return true;
        } finally {
          await client.end();
        }
      } catch {
        // Not this one, or not now.
      }
    }
    return null;
  }

  async function allIsThere(node: TestNode): Promise<void> {
    const client = await cluster.connect(node);
    try {
      const { rows } = await client.query('select id from t');
      const there = new Set(rows.map(({ id }) => Number(id)));
      const lost = acknowledged.filter((id) => !there.has(id));
      assert.deepEqual(lost, []);
    } finally {
      await client.end();
    }
  }

  it('become a cluster with two replicas that acknowledge, and say so', async () => {
    const leader = await cluster.ready(cluster.node('n1'), 2);
    const client = await cluster.connect(leader);
    await client.query('create table t (id int primary key)');
    await client.end();
    const status = await eventually('proven', async () => {
      const seen = await cluster.status(leader);
      return seen.rpo.kind === 'zero-proven' ? seen : null;
    });
    assert.match(status.rpo.text, /^rpo: zero \(proven\)/);
    await eventually('no lag when idle', async () => {
      const { members } = await cluster.status(leader);
      return members.every(({ role, replayLagMs }) => role === 'leader' || replayLagMs === 0) ? true : null;
    });
  });

  it('go on after the loss of the host of their leader, and take it back', async () => {
    for (let i = 0; i < 20; i++) await eventually('a write', write);
    const status = await cluster.status(cluster.node('n1'));
    const old = cluster.node(status.leader ?? '');
    const processes = await Promise.all([
      cluster.guardProcess(old),
      cluster.agentProcess(old),
      cluster.serverProcess(old),
    ]);
    for (const each of processes) if (each !== null) killTree(each);
    await eventually('a write', write);
    for (let i = 0; i < 20; i++) await eventually('a write', write);
    cluster.start(old);
    const leader = await cluster.ready(old, 2);
    assert.notEqual(leader.name, old.name);
    await allIsThere(leader);
  });

  it('do the same while strangers hold every connection that agents have for them, and hear the agent that comes back', async () => {
    const ports = cluster.nodes.map(({ apiUrl }) => Number(new URL(apiUrl).port));
    const flood = new Flood(ports, 'http', 400, 3_000);
    try {
      const full = async (node: TestNode) => {
        const text = await (await fetch(`${node.apiUrl}/metrics`)).text();
        return Number(/^understudy_api_turned_away_total\{[^}]*how="evicted"\} (\d+)$/m.exec(text)?.[1] ?? 0) > 0;
      };
      for (const node of cluster.nodes) await eventually('a full port', async () => ((await full(node)) ? true : null));
      const old = cluster.node((await cluster.status(cluster.node('n1'))).leader ?? '');
      const find = [cluster.guardProcess(old), cluster.agentProcess(old), cluster.serverProcess(old)];
      for (const each of await Promise.all(find)) if (each !== null) killTree(each);
      await eventually('a write', write);
      cluster.start(old);
      const leader = await cluster.ready(old, 2);
      assert.notEqual(leader.name, old.name);
      await allIsThere(leader);
    } finally {
      await flood.end();
    }
  });

  /** Asks the leader to hand over, to a node that `prepare` has done something to. */
  async function handOver(prepare: (to: TestNode) => Promise<void>): Promise<void> {
    const status = await cluster.status(cluster.node('n1'));
    const old = cluster.node(status.leader ?? '');
    const to = cluster.nodes.find(({ name }) => name !== old.name);
    assert.ok(to !== undefined);
    await prepare(to);
    const response = await fetch(`${old.apiUrl}/switchover`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ to: to.name }),
    });
    assert.equal(response.status, 200, await response.text());
    await eventually('a write', write);
    const leader = await cluster.ready(old, 2);
    // Whoever else leads has a reason, which the history tells.
    const history = await (await fetch(`${leader.apiUrl}/understudy/history`)).text();
    assert.equal(leader.name, to.name, history);
    await allIsThere(leader);
  }

  it('hand over as planned, and answer with how it ended', () => handOver(async () => undefined));

  it('hand over to a node whose agent was just replaced', () =>
    handOver(async (to) => {
      const agent = await cluster.agentProcess(to);
      assert.ok(agent !== null);
      signalProcess(agent, 'SIGKILL');
      // One that does not speak in time is passed over, so the handover begins when the new agent answers, whoever has heard it by then.
      await eventually('another agent', async () => {
        const now = await cluster.agentProcess(to).catch(() => null);
        if (now === null || now.pid === agent.pid) return null;
        return (await cluster.status(to).catch(() => null)) === null ? null : true;
      });
    }));

  it('hand over when the agent of their leader is told to end, with its server', async () => {
    const old = cluster.node((await cluster.status(cluster.node('n1'))).leader ?? '');
    const agent = await cluster.agentProcess(old);
    assert.ok(agent !== null);
    const before = (await cluster.log(old)).length;
    signalProcess(agent, 'SIGTERM');
    await eventually('its end', () => (isAlive(agent) ? null : true));
    const others = cluster.nodes.filter((node) => node !== old);
    const successor = await eventually('a successor', async () => {
      const seen = await cluster.status(others[0] ?? old);
      return seen.phase === 'open' && seen.leader !== old.name ? seen : null;
    });
    const response = await fetch(`${others[0]?.apiUrl}/understudy/history`);
    const entries = historyViewSchema.parse(await response.json());
    assert.equal(entries.find(({ epoch }) => epoch === successor.epoch)?.cause, 'planned-stop');
    const said = (await cluster.log(old)).slice(before);
    assert.match(said, /"code":"handed-over"/);
    assert.doesNotMatch(said, /guard: it does not answer/);
    assert.equal(await cluster.serverProcess(old).catch(() => null), null, 'its server is gone');
    cluster.start(old);
    await allIsThere(await cluster.ready(old, 2));
  });

  it('open the log anew on SIGHUP, and go on', async () => {
    const node = cluster.node('n2');
    const agent = await cluster.agentProcess(node);
    assert.ok(agent !== null);
    await rename(node.logFile, `${node.logFile}.old`);
    signalProcess(agent, 'SIGHUP');
    await eventually('the new file', async () => ((await cluster.log(node).catch(() => '')) === '' ? null : true));
    assert.ok(isAlive(agent));
  });

  it('do not mind the freeze of an agent beside a healthy server', async () => {
    const status = await cluster.status(cluster.node('n1'));
    const leader = cluster.node(status.leader ?? '');
    const agent = await cluster.agentProcess(leader);
    assert.ok(agent !== null);
    signalProcess(agent, 'SIGSTOP');
    await eventually('another agent', async () => {
      await eventually('a write', write);
      const now = await cluster.agentProcess(leader);
      return now !== null && now.pid !== agent.pid ? true : null;
    });
    const after = await cluster.ready(leader, 2);
    assert.equal(after.name, leader.name);
    assert.equal((await cluster.status(leader)).epoch, status.epoch, 'nobody was elected');
    await allIsThere(after);
  });

  const leaderNow = async (): Promise<TestNode> => {
    const from = await eventually('somebody who answers', async () => {
      for (const node of cluster.nodes) {
        const seen = await cluster.status(node).catch(() => null);
        if (seen?.phase === 'open' && seen.leader !== null) return cluster.node(seen.leader);
      }
      return null;
    });
    return cluster.ready(from, 2);
  };
  const othersThan = (...nodes: readonly TestNode[]): readonly TestNode[] =>
    cluster.nodes.filter((node) => !nodes.includes(node));

  async function killHost(node: TestNode): Promise<void> {
    const processes = [
      await cluster.guardProcess(node),
      await cluster.agentProcess(node),
      await cluster.serverProcess(node),
    ];
    for (const each of processes) if (each !== null) killTree(each);
  }

  /** Another leader than `old`, as `by` sees it. */
  const replaced = (by: TestNode, old: TestNode) =>
    eventually(`another leader than ${old.name}`, async () => {
      const seen = await cluster.status(by);
      return seen.phase === 'open' && seen.leader !== null && seen.leader !== old.name ? seen : null;
    });

  async function setLease(node: TestNode, leaseTtlMs: number | null): Promise<void> {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const answer = await fetch(`${node.apiUrl}/config`, {
      method: 'PATCH',
      headers,
      body: JSON.stringify({ leaseTtlMs }),
    });
    assert.equal(answer.status, 200, await answer.text());
  }

  it('elect without an acker whose agent is dead while its server goes on receiving', async () => {
    const leader = await leaderNow();
    await setLease(leader, 3000);
    const [mute, heir] = othersThan(leader);
    assert.ok(mute !== undefined && heir !== undefined);
    for (const each of [await cluster.guardProcess(mute), await cluster.agentProcess(mute)]) {
      assert.ok(each !== null);
      signalProcess(each, 'SIGKILL');
    }
    await eventually('a rule without it', async () => {
      const seen = await cluster.status(leader);
      return seen.moving === null && seen.rule?.members.join() === heir.name ? true : null;
    });
    assert.notEqual(await cluster.serverProcess(mute), null, 'its server still runs');
    await eventually('a write', write);
    await killHost(leader);
    assert.equal((await replaced(heir, leader)).leader, heir.name);
    for (const node of [mute, leader]) cluster.start(node);
    await allIsThere(await cluster.ready(heir, 2));
    await setLease(heir, null);
  });

  it('replace a leader that nobody can replicate from', async () => {
    const old = await leaderNow();
    await eventually('a write', write);
    const client = await cluster.connect(old);
    const { rows } = await client.query('select pid from pg_stat_replication');
    await client.end();
    assert.ok(rows.length >= 2);
    // Frozen, they hold their slots: nobody else gets them.
    for (const { pid } of rows) process.kill(Number(pid), 'SIGSTOP');
    const [other] = othersThan(old);
    assert.ok(other !== undefined);
    await replaced(other, old);
    assert.match(await cluster.log(old), /"code":"leader-unheard"/);
    await eventually('a write', write);
    await allIsThere(await cluster.ready(other, 2));
  });

  it('let the next best fetch what it lacks when the furthest node does not lead', async () => {
    const old = await leaderNow();
    const [furthest, heir] = othersThan(old);
    assert.ok(furthest !== undefined && heir !== undefined);
    const client = await cluster.connect(old);
    await client.query('create table if not exists big (t text)');
    const server = await cluster.serverProcess(heir);
    assert.ok(server !== null);
    const receiver = await receiverOf(server.pid);
    // More than a socket holds: what is sent to it while it is frozen does not all arrive.
    process.kill(receiver, 'SIGSTOP');
    for (let i = 0; i < 15; i++) {
      await client.query("insert into big select string_agg(md5(random()::text), '') from generate_series(1, 40000)");
    }
    await client.end();
    await killHost(old);
    const config = await readFile(furthest.configFile, 'utf8');
    await writeFile(furthest.configFile, `${config}\ntags: { nofailover: true }\n`);
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const reloaded = await fetch(`${furthest.apiUrl}/reload`, { method: 'POST', headers });
    assert.equal(reloaded.status, 202, await reloaded.text());
    process.kill(receiver, 'SIGCONT');
    assert.equal((await replaced(heir, old)).leader, heir.name);
    assert.match(await cluster.log(heir), /"code":"fast-forwarding"/);
    await writeFile(furthest.configFile, config);
    await fetch(`${furthest.apiUrl}/reload`, { method: 'POST', headers });
    cluster.start(old);
    const leader = await cluster.ready(heir, 2);
    await allIsThere(leader);
    const check = await cluster.connect(leader);
    const { rows } = await check.query('select count(*)::int as n from big');
    await check.end();
    assert.deepEqual(rows, [{ n: 15 }]);
  });
});

/** The walreceiver among the children of a postmaster. */
async function receiverOf(postmaster: number): Promise<number> {
  const children = (await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')).trim().split(' ');
  for (const pid of children) {
    if ((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('walreceiver')) return Number(pid);
  }
  throw new Error('no walreceiver');
}
