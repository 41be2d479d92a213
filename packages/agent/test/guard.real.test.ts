/**
 * The guard with real processes and a real PostgreSQL: whatever dies or freezes, a healthy server is left alone, a dead agent comes
 * back and takes its server over, and a server whose time is over is killed with all its children.
 */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { childrenOf, isAlive, type ProcessName, signalProcess } from '@understudy/base/processes';
import { killTree } from '../src/guard/proc.ts';
import { eventually } from './support/eventually.ts';
import { TestCluster, type TestNode } from './support/nodes.ts';

const guardLog = (node: TestNode): Promise<string> => readFile(join(node.runDir, 'guard.log'), 'utf8');

async function found(what: string, find: () => Promise<ProcessName | null>): Promise<ProcessName> {
  return eventually(what, find);
}

const another = async (find: () => Promise<ProcessName | null>, before: ProcessName): Promise<ProcessName | null> => {
  const now = await find();
  return now !== null && now.pid !== before.pid ? now : null;
};

describe('a guarded node', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  let node: TestNode;
  let server: ProcessName;

  before(async () => {
    cluster = await TestCluster.make(['n1']);
    node = cluster.node('n1');
    cluster.start(node);
    await cluster.ready(node, 0);
    server = await found('server', () => cluster.serverProcess(node));
    await found('guard', () => cluster.guardProcess(node));
  });
  after(() => cluster.destroy());

  const agent = () => found('agent', () => cluster.agentProcess(node));
  const guard = () => found('guard', () => cluster.guardProcess(node));

  /** The one server of the beginning still runs, and takes a write. */
  async function serverIsUntouched(): Promise<void> {
    assert.ok(isAlive(server), 'the server was not restarted');
    const client = await cluster.connect(node);
    try {
      await client.query('create table if not exists t (at timestamptz); insert into t values (now())');
    } finally {
      await client.end();
    }
  }

  it('starts a killed agent again, which takes the running server over', async () => {
    const old = await agent();
    signalProcess(old, 'SIGKILL');
    await serverIsUntouched();
    await eventually('another agent', () => another(() => cluster.agentProcess(node), old));
    await cluster.ready(node, 0);
    await serverIsUntouched();
    assert.match(await guardLog(node), /died, restart: yes/);
  });

  it('kills a frozen agent and starts another, without touching the server', async () => {
    const old = await agent();
    signalProcess(old, 'SIGSTOP');
    await serverIsUntouched();
    await eventually('another agent', () => another(() => cluster.agentProcess(node), old));
    await cluster.ready(node, 0);
    await serverIsUntouched();
    assert.match(await guardLog(node), /is frozen \(no beat for \d+ ms, process state T\): killed/);
  });

  it('is itself started again when it is killed', async () => {
    const old = await guard();
    signalProcess(old, 'SIGKILL');
    await eventually('another guard', () => another(() => cluster.guardProcess(node), old));
    await serverIsUntouched();
    // The new one does its work, too.
    const oldAgent = await agent();
    await eventually('connected', async () =>
      (await cluster.status(node)).warnings.some((text) => text.startsWith('guard')) ? null : true,
    );
    signalProcess(oldAgent, 'SIGKILL');
    await eventually('another agent', () => another(() => cluster.agentProcess(node), oldAgent));
    await cluster.ready(node, 0);
    await serverIsUntouched();
  });

  it('is replaced when it is frozen', async () => {
    const old = await guard();
    signalProcess(old, 'SIGSTOP');
    await eventually('another guard', () => another(() => cluster.guardProcess(node), old));
    assert.ok(!isAlive(old), 'the frozen one was killed');
    await serverIsUntouched();
  });

  it('dies with its agent: the next agent takes the server over all the same', async () => {
    const oldGuard = await guard();
    const oldAgent = await agent();
    signalProcess(oldGuard, 'SIGKILL');
    signalProcess(oldAgent, 'SIGKILL');
    await eventually('both gone', () => (isAlive(oldGuard) || isAlive(oldAgent) ? null : true));
    await serverIsUntouched();
    cluster.start(node);
    await cluster.ready(node, 0);
    await found('guard', () => cluster.guardProcess(node));
    await serverIsUntouched();
  });

  it('lets an agent end without its server, and the next one take over', async () => {
    const old = await agent();
    signalProcess(old, 'SIGUSR2');
    await eventually('ended', () => (isAlive(old) ? null : true));
    await serverIsUntouched();
    cluster.start(node);
    await cluster.ready(node, 0);
    await serverIsUntouched();
  });

  it('ends with its agent and server at an orderly stop', async () => {
    const oldGuard = await guard();
    const oldAgent = await agent();
    signalProcess(oldAgent, 'SIGTERM');
    await eventually('all ended', () => ([oldGuard, oldAgent, server].some(isAlive) ? null : true));
    const log = await readFile(join(cluster.folder, 'n1', 'run', 'guard.log'), 'utf8');
    assert.match(log, /agent ends in order, guard: exit/);
    assert.equal(await cluster.agentProcess(node), null, 'the lock was released');
  });
});

describe('a node whose agent is never started again', { timeout: 120_000 }, () => {
  it('loses its server, with all children, when its authority ends; the next agent starts it again', async () => {
    const cluster = await TestCluster.make(['n1'], { guard: { restartAgent: 'never' } });
    try {
      const node = cluster.node('n1');
      cluster.start(node);
      await cluster.ready(node, 0);
      const server = await found('server', () => cluster.serverProcess(node));
      const agent = await found('agent', () => cluster.agentProcess(node));
      const client = await cluster.connect(node);
      const busy = client.query('select pg_sleep(600)').catch(() => 'ended');
      const family = childrenOf(server.pid);
      assert.ok(family.length > 3);
      signalProcess(agent, 'SIGKILL');
      await eventually('server killed', () => ([server, ...family].some(isAlive) ? null : true));
      assert.equal(await busy, 'ended');
      assert.match(await guardLog(node), /authority ended \d+ ms ago: killed server/);
      assert.equal(await cluster.agentProcess(node), null, 'nobody started the agent');
      cluster.start(node);
      await cluster.ready(node, 0);
    } finally {
      await cluster.destroy();
    }
  });
});

describe('a node that is removed', { timeout: 120_000 }, () => {
  it('leaves no guard behind that would start its agent again', async () => {
    const cluster = await TestCluster.make(['n1']);
    const node = cluster.node('n1');
    try {
      cluster.start(node);
      await cluster.ready(node, 0);
      const guard = await found('guard', () => cluster.guardProcess(node));
      const [agent, server] = [await cluster.agentProcess(node), await cluster.serverProcess(node)];
      assert.ok(agent !== null && server !== null);
      await rename(node.runDir, `${node.runDir}.gone`);
      killTree(agent);
      killTree(server);
      await eventually('guard ended', () => (isAlive(guard) ? null : true));
      assert.equal(await cluster.agentProcess(node), null);
    } finally {
      await cluster.destroy();
    }
  });
});

describe('a node with a watchdog', { timeout: 120_000 }, () => {
  it('feeds it while all is well, and disarms it at an orderly stop only', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'us-watchdog-'));
    const device = join(folder, 'watchdog');
    await writeFile(device, '');
    const cluster = await TestCluster.make(['n1'], { guard: { watchdog: { device, mode: 'required' } } });
    const fed = () => readFile(device, 'utf8');
    try {
      const node = cluster.node('n1');
      cluster.start(node);
      await cluster.ready(node, 0);
      await eventually('fed', async () => (/^1{3,}$/.test(await fed()) ? true : null));
      const guard = await found('guard', () => cluster.guardProcess(node));
      signalProcess(guard, 'SIGKILL');
      await eventually('another guard', () => another(() => cluster.guardProcess(node), guard));
      assert.doesNotMatch(await fed(), /V/, 'a killed guard leaves the watchdog armed');
      const agent = await found('agent', () => cluster.agentProcess(node));
      signalProcess(agent, 'SIGTERM');
      await eventually('disarmed', async () => ((await fed()).endsWith('V') ? true : null));
    } finally {
      await cluster.destroy();
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('is not opened for writes when the watchdog is required and missing, and says so', async () => {
    const cluster = await TestCluster.make(['n1'], {
      guard: { watchdog: { device: '/nonexistent/watchdog', mode: 'required' } },
    });
    try {
      const node = cluster.node('n1');
      cluster.start(node);
      await eventually('refused', async () =>
        /requires a watchdog, and it is not armed/.test(await cluster.log(node)) ? true : null,
      );
      assert.notEqual((await cluster.status(node)).phase, 'open');
      assert.ok((await cluster.status(node)).warnings.some((text) => /watchdog .* not armed/.test(text)));
    } finally {
      await cluster.destroy();
    }
  });
});
