// Goal: `up` starts a whole cluster, Ctrl-C ends all of it, data stays, and nothing is left behind however it ends.
// Method: the real command as a child process, judged by its exit code, by the processes that are left, and by rows in the database.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { clusterPaths, readLogin } from '@understudy/local';
import pg from 'pg';
import { ownCommand } from '../src/invocation.ts';
import { cleanEnvironment, cli, cliOnTerminal } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';
import { processesIn } from './support/processes.ts';

const startMs = 90_000;
let root = '';
let folder = '';
let remove: () => Promise<void> = async () => undefined;
const started: ChildProcess[] = [];

before(async () => {
  const scratch = await scratchFolder();
  ({ remove } = scratch);
  root = scratch.folder;
  folder = join(root, 'cluster');
});

after(async () => {
  for (const child of started) if (child.exitCode === null) child.kill('SIGKILL');
  for (const { pid } of await processesIn(folder)) process.kill(pid, 'SIGKILL');
  await eventually('all gone', async () => ((await processesIn(folder)).length === 0 ? true : null));
  await remove();
});

interface Up {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

/** Starts `up` and waits until it has shown its connection string (or until it shows `until`). */
async function up(args: readonly string[] = [], until = /What the cluster decides, from here on/): Promise<Up> {
  const [node = '', main = ''] = ownCommand;
  const child = spawn(node, [main, 'up', '--data-dir', folder, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(),
  });
  started.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  await eventually(
    `up to show ${until}`,
    () => {
      if (child.exitCode !== null) throw new Error(`up ended with ${child.exitCode}:\n${output}`);
      return until.test(output) ? true : null;
    },
    startMs,
  );
  return { child, output: () => output, ended };
}

const urls = async (): Promise<URL[]> => {
  const { url } = JSON.parse((await cli(['url', '--json', '--data-dir', folder])).stdout);
  return [...String(url).matchAll(/127\.0\.0\.1:\d+/g)].map(([host]) => new URL(`tcp://${host}`));
};

/** Runs a statement on whichever node is the primary. */
async function sql(statement: string): Promise<unknown[]> {
  const { user, password, database } = await readLogin(folder);
  return eventually(`an answer to ${statement}`, async () => {
    for (const { hostname, port } of await urls()) {
      const client = new pg.Client({
        host: hostname,
        port: Number(port),
        user,
        password,
        database,
        connectionTimeoutMillis: 2000,
      });
      client.on('error', () => undefined);
      try {
        await client.connect();
        const { rows } = await client.query<{ pg_is_in_recovery: boolean }>('select pg_is_in_recovery()');
        if (rows[0]?.pg_is_in_recovery === false) return (await client.query(statement)).rows;
      } catch {
        // The next one, or the same one a little later.
      } finally {
        await client.end().catch(() => undefined);
      }
    }
    return null;
  });
}

async function nothingIsLeft(): Promise<void> {
  const left = await processesIn(folder);
  assert.deepEqual(
    left.map(({ command }) => command),
    [],
  );
}

test('up shows the cluster and what to try; Ctrl-C stops all of it, with 0', async () => {
  const { child, output, ended } = await up();
  const text = output();
  assert.match(text, /Cluster default is up.*PostgreSQL 17\.\S+, 3 nodes, sync, local store/);
  assert.match(text, /Connect {2}postgresql:\/\/postgres@127\.0\.0\.1:\d+,/);
  assert.match(text, /kill -9 \d+ /);
  const { superuser } = JSON.parse(await readFile(clusterPaths(folder).secrets, 'utf8'));
  assert.ok(!text.includes(superuser), 'the password is not shown');
  await sql('create table kept (n int primary key)');
  await sql('insert into kept values (1)');
  const second = await cli(['up', '--data-dir', folder]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /is in use by process \d+/);
  child.kill('SIGINT');
  assert.equal(await ended, 0, output());
  assert.match(output(), /Stopped\. The data is kept/);
  await nothingIsLeft();
});

test('the second up goes on with the same data, tells what happens, and SIGTERM ends it as well', async () => {
  const { child, output, ended } = await up();
  assert.deepEqual(await sql('select n from kept'), [{ n: 1 }]);
  const pid = Number(/kill -9 (\d+)/.exec(output())?.[1]);
  process.kill(pid, 'SIGKILL');
  await sql('insert into kept values (2)');
  await eventually('the failover is told', () => (/leads: epoch \d+, open for writes/.test(output()) ? true : null));
  child.kill('SIGTERM');
  assert.equal(await ended, 0, output());
  await nothingIsLeft();
});

test('options that contradict the kept cluster are refused; nothing is started', async () => {
  for (const [args, cause] of [
    [['--nodes', '5'], /number of nodes 5 \(the cluster there has 3\)/],
    [['--store', 'etcd'], /store etcd \(the cluster there has local\)/],
  ] as const) {
    const ran = await cli(['up', '--data-dir', folder, ...args]);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, cause);
  }
  await nothingIsLeft();
});

test('kill -9 of up: the next up recovers, with the same data', async () => {
  const first = await up();
  first.child.kill('SIGKILL');
  await first.ended;
  const { child, output, ended } = await up();
  assert.match(output(), /Stopped \d+ processes that an earlier start had left behind/);
  assert.deepEqual(await sql('select count(*)::int as n from kept'), [{ n: 2 }]);
  child.kill('SIGINT');
  assert.equal(await ended, 0);
  await nothingIsLeft();
});

test('Ctrl-C while it starts stops what was started', async () => {
  const { child, ended } = await up([], /agents: /);
  child.kill('SIGINT');
  assert.equal(await ended, 0);
  await nothingIsLeft();
});

test('a second Ctrl-C ends everything at once, without orphans, with 130', async () => {
  const { child, ended, output } = await up();
  child.kill('SIGINT');
  await eventually('stopping', () => (/Stopping everything cleanly/.test(output()) ? true : null));
  child.kill('SIGINT');
  assert.equal(await ended, 130);
  await nothingIsLeft();
});

test('a terminal that is closed stops all of it', async () => {
  const words = [...ownCommand, 'up', '--data-dir', folder].map((word) => `'${word}'`).join(' ');
  const terminal = spawn('script', ['-qec', words, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...cleanEnvironment(), TERM: 'xterm' },
  });
  started.push(terminal);
  let output = '';
  terminal.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString('utf8');
  });
  await eventually('up on a terminal', () => (/What the cluster decides/.test(output) ? true : null), startMs);
  terminal.kill('SIGKILL');
  await eventually('all stopped', async () => ((await processesIn(folder)).length === 0 ? true : null), 60_000);
});

test('up --detach, status by default folder, down, destroy', async () => {
  const detached = await cli(['up', '--detach', '--data-dir', folder], { timeoutMs: startMs });
  assert.equal(detached.code, 0, detached.stderr);
  assert.match(detached.stdout, /is up in the background \(process \d+/);
  assert.ok(detached.stdout.includes(`log ${join(folder, 'logs', 'up.log')})`), 'the log goes with the cluster');
  assert.deepEqual(await sql('select count(*)::int as n from kept'), [{ n: 2 }]);
  // What a killed one leaves running does not answer for the next one.
  process.kill(Number(/process (\d+)/.exec(detached.stdout)?.[1]), 'SIGKILL');
  const next = await cli(['up', '--detach', '--data-dir', folder], { timeoutMs: startMs });
  assert.equal(next.code, 0, next.stderr);
  assert.equal((await cli(['status', '--check', '--data-dir', folder])).code, 0);
  const again = await cli(['up', '--detach', '--data-dir', folder]);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /runs already/);
  const down = await cli(['down', '--data-dir', folder]);
  assert.match(down.stdout, /^Cluster default is stopped/);
  await nothingIsLeft();
  assert.match((await cli(['down', '--data-dir', folder])).stdout, /was not running/);
  const unasked = await cli(['destroy', '--data-dir', folder]);
  assert.equal(unasked.code, 1);
  assert.match(unasked.stderr, /--yes/);
  const mistyped = await cliOnTerminal(['destroy', '--data-dir', folder], { input: 'defualt\n' });
  assert.match(mistyped.stdout, /"defualt" was typed, not "default"; nothing was changed/);
  assert.equal((await cli(['destroy', '--yes', '--data-dir', folder])).code, 0);
  assert.equal((await cli(['destroy', '--yes', '--data-dir', folder])).code, 4);
});
