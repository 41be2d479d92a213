import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';
import { pollUntil } from '@understudy/base';
import { processInfo } from '@understudy/base/processes';
import { namespacesObjection } from '../src/network/ip.ts';
import { Network } from '../src/network/network.ts';

const skip = namespacesObjection() ?? false;
const port = 7000;
const echo = `require('node:net').createServer((s) => s.on('error', () => {}).pipe(s)).listen(${port})`;
const timing = { everyMs: 30, timeoutMs: 10_000 };

/** Whether a host answers within a short time. */
function answers(host: string): Promise<true | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 300 });
    const end = (result: true | null) => () => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => socket.write('x'));
    socket.once('data', end(true));
    socket.once('error', end(null));
    socket.once('timeout', end(null));
  });
}

/** Resolves when a datagram that a node sends arrives here. */
async function isHeard(network: Network, node: string): Promise<void> {
  const socket = createSocket('udp4');
  try {
    socket.bind(0, network.address);
    await once(socket, 'listening');
    const heard = once(socket, 'message', { signal: AbortSignal.timeout(timing.timeoutMs) });
    const send = `require('node:dgram').createSocket('udp4').unref().send('x', ${socket.address().port}, '${network.address}')`;
    const [program = '', ...args] = network.enter(node, [process.execPath, '-e', send]);
    spawn(program, args, { stdio: 'ignore' });
    await heard;
  } finally {
    socket.close();
  }
}

test('hosts are reached, cut off silently, muted, reached again, and gone in the end', { skip }, async (t) => {
  const network = await Network.create(['n1', 'n2']);
  t.after(() => network.remove());
  const addresses = [...network.hosts.values()].map(({ address }) => address);
  assert.equal(new Set([network.address, ...addresses]).size, 3);
  const servers = ['n1', 'n2'].map((node) => {
    const [program = '', ...args] = network.enter(node, [process.execPath, '-e', echo]);
    return spawn(program, args, { stdio: 'ignore' });
  });
  t.after(() => servers.map((server) => server.kill('SIGKILL')));
  const [first = '', second = ''] = addresses;
  for (const address of addresses) assert.ok(await pollUntil(() => answers(address), timing));
  await network.pull('n1');
  assert.equal(await answers(first), null);
  assert.equal(await answers(second), true);
  await network.plug('n1');
  assert.ok(await pollUntil(() => answers(first), timing));
  await network.mute('n1');
  assert.equal(await answers(first), null);
  await network.unmute('n1');
  assert.ok(await pollUntil(() => answers(first), timing));
  await network.deafen('n1');
  assert.equal(await answers(first), null);
  await isHeard(network, 'n1');
  await network.undeafen('n1');
  await network.undeafen('n1');
  assert.ok(await pollUntil(() => answers(first), timing));
  assert.match(await network.slow('n1'), /late|Mbit/);
  assert.ok(await pollUntil(() => answers(first), timing), 'slow is not lost');
  await network.unslow('n1');
  await network.unslow('n1');
  assert.ok(await pollUntil(() => answers(first), timing));
  await network.remove();
  await network.remove();
  const left = await readdir('/run/netns').catch((): string[] => []);
  for (const { namespace } of network.hosts.values()) assert.ok(!left.includes(namespace));
  for (const { pid } of servers) assert.equal(processInfo(pid ?? 0), null);
});
