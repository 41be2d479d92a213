/** Goal: a process is known for what it is, and a lock ends with its holder. Method: real processes. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { pollUntil } from '@understudy/base';
import { takeProcessLock } from '@understudy/base/process-lock';
import {
  allProcesses,
  argumentsOf,
  bootId,
  childrenOf,
  commandOf,
  environmentOf,
  isAlive,
  isSameProcess,
  linkOf,
  processInfo,
  processName,
  signalProcess,
  startTicksOf,
} from '@understudy/base/processes';

const timing = { everyMs: 5, timeoutMs: 20_000 };
const children: ChildProcess[] = [];
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'base-processes-'));
});
after(() => rm(folder, { recursive: true }));
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(program: string, args: readonly string[]): { readonly child: ChildProcess; readonly pid: number } {
  const child = spawn(program, args, { cwd: folder, env: { MARK: 'mine' }, stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  assert.ok(child.pid !== undefined);
  return { child, pid: child.pid };
}

describe('a process', () => {
  test('is shown as it was started', async () => {
    const { pid } = start('/bin/sleep', ['600']);
    assert.ok(await pollUntil(() => (argumentsOf(pid).includes('600') ? true : null), timing));
    const info = processInfo(pid);
    assert.deepEqual([info?.program, info?.parent], ['sleep', process.pid]);
    assert.deepEqual(argumentsOf(pid), ['/bin/sleep', '600']);
    assert.equal(commandOf(pid), '/bin/sleep 600');
    assert.deepEqual(environmentOf(pid), ['MARK=mine']);
    assert.equal(linkOf(pid, 'cwd'), folder);
    assert.match(linkOf(pid, 'exe') ?? '', /\/(sleep|coreutils|busybox)$/);
    assert.ok(childrenOf(process.pid).some((child) => child.pid === pid));
    assert.ok(allProcesses().some((each) => each.pid === pid));
  });

  test('with parentheses and spaces in its name is read like any other', async () => {
    const { pid } = start('/bin/sh', ['-c', 'printf "a) R 1 (b" > /proc/$$/comm; read line']);
    const info = await pollUntil(() => (processInfo(pid)?.program === 'a) R 1 (b' ? processInfo(pid) : null), timing);
    assert.equal(info?.parent, process.pid);
  });

  test('is another one than a later one with its id', async () => {
    const { child, pid } = start('/bin/sleep', ['600']);
    const name = processName(pid);
    assert.ok(name !== null && isAlive(name) && isSameProcess(name, processName(pid)));
    const earlier = { pid, startTicks: String(Number(name.startTicks) - 1) };
    assert.ok(!isAlive(earlier) && !isSameProcess(earlier, name) && !isSameProcess(null, null));
    signalProcess(earlier, 'SIGKILL');
    assert.ok(isAlive(name), 'a signal for the earlier one does not reach it');
    signalProcess(name, 'SIGKILL');
    await once(child, 'exit');
    assert.ok(!isAlive(name));
    signalProcess(name, 'SIGKILL');
  });

  test('that ended and that nobody waited for is none', async () => {
    // The shell becomes a program that waits for none of its children.
    const { child, pid } = start('/bin/sh', ['-c', '/bin/true & echo $!; exec /bin/sleep 600']);
    const [line] = await once(child.stdout ?? assert.fail(), 'data');
    const ended = Number(String(line));
    const isZombie = () => (commandOf(pid).includes('600') && argumentsOf(ended).length === 0 ? true : null);
    assert.ok(await pollUntil(isZombie, timing));
    assert.deepEqual([processInfo(ended), processName(ended), startTicksOf(ended)], [null, null, null]);
    assert.deepEqual([childrenOf(pid), argumentsOf(ended), linkOf(ended, 'cwd')], [[], [], null]);
  });
});

test('a boot has a name', () => {
  assert.match(bootId(), /^[0-9a-f-]{36}$/);
});

describe('a process lock', () => {
  test('is held by one at a time, until it is released', async () => {
    const file = join(folder, 'a.lock');
    const lock = takeProcessLock(file);
    assert.ok(lock !== null);
    assert.equal(takeProcessLock(file), null);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    lock.release();
    lock.release();
    const next = takeProcessLock(file);
    assert.ok(next !== null);
    next.release();
  });

  test('ends with the process that holds it, however it ends', async () => {
    const file = join(folder, 'b.lock');
    const from = import.meta.resolve('@understudy/base/process-lock');
    const script = `import { takeProcessLock } from ${JSON.stringify(from)};
      if (takeProcessLock(${JSON.stringify(file)}) !== null) console.log('held');
      setTimeout(() => {}, 600_000);`;
    const { child } = start(process.execPath, ['--input-type=module', '--eval', script]);
    await once(child.stdout ?? assert.fail(), 'data');
    assert.equal(takeProcessLock(file), null);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const lock = takeProcessLock(file, 1000);
    assert.ok(lock !== null);
    lock.release();
  });

  test('stays held when nobody refers to it, and when its process asks for it again', async () => {
    const file = join(folder, 'd.lock');
    const from = import.meta.resolve('@understudy/base/process-lock');
    const script = `import { takeProcessLock } from ${JSON.stringify(from)};
      takeProcessLock(${JSON.stringify(file)});
      await new Promise((resolve) => setTimeout(resolve));
      for (let turn = 0; turn < 5; turn += 1) gc();
      console.log(takeProcessLock(${JSON.stringify(file)}) === null ? 'held' : 'let go');
      setTimeout(() => {}, 600_000);`;
    const { child } = start(process.execPath, ['--expose-gc', '--input-type=module', '--eval', script]);
    await once(child.stdout ?? assert.fail(), 'data');
    assert.equal(takeProcessLock(file), null);
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  test('in a folder that is not there is an error', () => {
    assert.throws(() => takeProcessLock(join(folder, 'missing', 'c.lock')), { code: 'ENOENT' });
  });
});
