// Goal: a disk stalls for whoever writes to it, and works again after it was healed, however often. Method: real file systems on loop devices.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pollUntil } from '@understudy/base';
import { processInfo } from '@understudy/base/processes';
import { Disks } from '../src/run/disks.ts';

const timing = { everyMs: 20, timeoutMs: 20_000, signal: new AbortController().signal };
const touch = (path: string): ChildProcess => spawn('touch', [path], { stdio: 'ignore' });

test('a stalled disk lets nobody write and nobody be killed; healed, it is as it was', {
  skip: Disks.objection() ?? false,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'us-disks-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const disks = await Disks.make(folder, 2);
  t.after(() => disks.unmount());
  const [ours, other] = [join(folder, 'n1'), join(folder, 'n2')];
  assert.notEqual((await stat(ours)).dev, (await stat(other)).dev);
  await disks.stall('n1');
  await once(touch(join(other, 'beside')), 'exit');
  const writer = touch(join(ours, 'late'));
  const ended = once(writer, 'exit');
  const waits = await pollUntil(() => (processInfo(writer.pid ?? 0)?.state === 'D' ? true : null), timing);
  assert.ok(waits, 'it waits in the kernel');
  writer.kill('SIGKILL');
  assert.equal(processInfo(writer.pid ?? 0)?.state, 'D', 'SIGKILL does not reach it');
  await disks.heal('n1');
  await disks.heal('n1');
  await ended;
  await disks.slow('n1');
  assert.deepEqual((await once(touch(join(ours, 'slow')), 'exit'))[0], 0);
  await disks.unmount();
  await disks.unmount();
  assert.ok(!(await readFile('/proc/self/mounts', 'utf8')).includes(folder));
  assert.ok(existsSync(join(folder, 'disks', 'n1.img')), 'the data stays');
});
