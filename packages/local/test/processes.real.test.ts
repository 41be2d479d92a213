import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pollUntil } from '@understudy/base';
import { processInfo } from '@understudy/base/processes';
import { processesOf } from '../src/proc.ts';
import { freeze, killAll, thaw } from '../src/signals.ts';
import { Supervised, type SupervisedEvent } from '../src/supervised.ts';
import { temporaryFolder } from './folders.ts';

const sleeper = 'setInterval(() => undefined, 1000)';
const timing = { everyMs: 10, timeoutMs: 10_000 };

function start(t: TestContext, code: string, env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, ['-e', code], { env: { ...process.env, ...env }, stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function found(t: TestContext, count: number, variable: string): Promise<readonly number[]> {
  const folder = await temporaryFolder(t);
  const pids = await pollUntil(() => {
    const all = processesOf({ variable, folder }).map(({ pid }) => pid);
    return all.length === count ? all : null;
  }, timing);
  assert.ok(pids !== null, `did not find ${count} processes`);
  return pids;
}

test('processes are found by their mark, with those they started, and no others', async (t) => {
  const env = { US_TEST: `a${process.pid}` };
  const parent = `require('node:child_process').spawn(process.execPath, ['-e', '${sleeper}'], { env: {}, stdio: 'ignore' }); ${sleeper}`;
  const child = start(t, parent, env);
  start(t, sleeper, { US_TEST: `b${process.pid}` });
  const variable = `US_TEST=a${process.pid}`;
  const pids = await found(t, 2, variable);
  assert.ok(pids.includes(child.pid ?? 0));
  const mark = { variable, folder: '/nowhere' };
  const frozen = await freeze(() => processesOf(mark));
  assert.deepEqual(
    frozen.map((pid) => processInfo(pid)?.state),
    ['T', 'T'],
  );
  thaw(frozen);
  assert.ok(
    (await pollUntil(() => (frozen.every((pid) => processInfo(pid)?.state !== 'T') ? true : null), timing)) !== null,
  );
  assert.equal(await killAll(mark), 2);
  assert.deepEqual(processesOf(mark), []);
});

test('a program is started again when it ends, until it is told to stop', async (t) => {
  const folder = await temporaryFolder(t);
  const events: SupervisedEvent[] = [];
  const log = join(folder, 'log');
  await mkdir(join(folder, 'work'));
  const program = {
    name: 'sleeper',
    command: [process.execPath, '-e', `console.log('started'); ${sleeper}`],
    env: {},
    log,
    user: null,
    workingFolder: folder,
    yieldMs: 0,
    runsElsewhere: () => false,
  };
  const supervised = new Supervised(program, (event) => events.push(event));
  t.after(() => supervised.stop(100));
  supervised.start();
  const first = supervised.process;
  assert.ok(first !== null);
  const starts = async (count: number): Promise<true | null> =>
    (await readFile(log, 'utf8')).split('started').length === count + 1 ? true : null;
  assert.ok((await pollUntil(() => starts(1), timing)) !== null);
  process.kill(first.pid, 'SIGKILL');
  const second = await pollUntil(() => {
    const now = supervised.process;
    return now !== null && now.pid !== first.pid ? now : null;
  }, timing);
  assert.ok(second !== null);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['ended', 'restarted'],
  );
  assert.equal(supervised.lastEnd, 'signal SIGKILL');
  assert.ok((await pollUntil(() => starts(2), timing)) !== null);
  await supervised.stop(5000);
  assert.equal(supervised.process, null);
  assert.equal(processInfo(second.pid), null);
});

test('a program that something else has started meanwhile is left to it', async (t) => {
  const folder = await temporaryFolder(t);
  let asked = 0;
  const program = {
    name: 'brief',
    command: [process.execPath, '-e', ''],
    env: {},
    log: join(folder, 'log'),
    user: null,
    workingFolder: folder,
    yieldMs: 0,
    runsElsewhere: () => {
      asked += 1;
      return true;
    },
  };
  const events: SupervisedEvent[] = [];
  const supervised = new Supervised(program, (event) => events.push(event));
  t.after(() => supervised.stop(100));
  supervised.start();
  assert.ok((await pollUntil(() => (asked > 0 ? true : null), timing)) !== null);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['ended'],
  );
});
