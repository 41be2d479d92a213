import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pollUntil } from '@understudy/base';
import {
  type ClusterEvent,
  createLocalCluster,
  describeCluster,
  destroyCluster,
  type LocalCluster,
  LocalError,
  readinessOf,
  statusOf,
  stopCluster,
} from '../src/index.ts';
import { clusterVariable } from '../src/node.ts';
import { processesOf } from '../src/proc.ts';
import { temporaryFolder, understudyCommand } from './folders.ts';

const timing = { everyMs: 50, timeoutMs: 30_000 };

function running(cluster: LocalCluster, id: string): number {
  return processesOf({ variable: `${clusterVariable}=${id}`, folder: cluster.folder }).length;
}

/** Runs a cluster in another process and kills that without warning. */
async function leaveBehind(t: TestContext, folder: string): Promise<void> {
  const script = fileURLToPath(new URL('./start-and-wait.ts', import.meta.url));
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const first = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  assert.equal(String(first[0]), 'ready\n');
  await assert.rejects(
    createLocalCluster({ folder, command: [] }),
    (error) =>
      error instanceof LocalError && error.code === 'CLUSTER_BUSY' && error.message.includes(`process ${child.pid}`),
  );
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test('a cluster survives the death of its runner, every single process, and is gone when destroyed', async (t) => {
  const folder = join(await temporaryFolder(t), 'cluster');
  await leaveBehind(t, folder);
  const left = await describeCluster({ folder });
  assert.ok(left !== null && left.runner === null);
  const events: ClusterEvent[] = [];
  const cluster = await createLocalCluster({
    folder,
    command: understudyCommand,
    onEvent: (event) => events.push(event),
  });
  t.after(() => cluster.destroy());
  await cluster.start();
  assert.ok(events.some((event) => event.kind === 'notice' && /Stopped \d+ processes/.test(event.text)));
  assert.deepEqual(cluster.state, left.state);
  const whole = (): Promise<true | null> =>
    statusOf(cluster.nodes).then((status) => (readinessOf(status, 2).kind === 'ready' ? true : null));
  const [node] = cluster.nodes;
  assert.ok(node !== undefined);
  for (const find of [() => node.guards()[0], () => node.agents()[0], () => node.server() ?? undefined]) {
    const victim = find();
    assert.ok(victim !== undefined);
    process.kill(victim.pid, 'SIGKILL');
    const successor = await pollUntil(() => ((find()?.pid ?? victim.pid) === victim.pid ? null : true), timing);
    assert.ok(successor !== null, 'it was not started again');
    assert.ok((await pollUntil(whole, timing)) !== null, 'the cluster did not become whole again');
  }
  await cluster.stop();
  assert.equal(running(cluster, left.state.id), 0);
  assert.equal(await stopCluster({ folder }), 'nothing');
  assert.equal(await destroyCluster({ folder }), 'destroyed');
  await assert.rejects(access(folder));
  assert.equal(await destroyCluster({ folder }), 'nothing');
});

test('a start that is interrupted, or fails, leaves nothing running', async (t) => {
  const folder = join(await temporaryFolder(t), 'cluster');
  const interruption = new AbortController();
  const cluster = await createLocalCluster({
    folder,
    nodes: 2,
    command: understudyCommand,
    onProgress: ({ phase }) => {
      if (phase === 'bootstrap' || phase === 'replicas') interruption.abort();
    },
  });
  t.after(() => cluster.destroy());
  await assert.rejects(cluster.start({ signal: interruption.signal }), { code: 'INTERRUPTED' });
  const state = (await describeCluster({ folder }))?.state;
  assert.ok(state !== undefined);
  assert.equal(running(cluster, state.id), 0);
  const broken = await createLocalCluster({ folder, command: [process.execPath, '-e', 'process.exit(3)', '--'] });
  await assert.rejects(
    broken.start({ timeoutMs: 20_000 }),
    (error) => error instanceof LocalError && error.code === 'AGENT_FAILED' && /exit code 3/.test(error.message),
  );
  assert.equal(running(cluster, state.id), 0);
});
