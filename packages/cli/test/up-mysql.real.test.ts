// Goal: `up --engine mysql` and `--engine mariadb` give the cluster that PostgreSQL's gives: written through `url`, carried through
// the death of the primary's server, whole again, and nothing left behind. Method: the real command, real servers, the real driver.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mysql from 'mysql2/promise';
import { ownCommand } from '../src/invocation.ts';
import { cleanEnvironment, cli } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';
import { processesIn } from './support/processes.ts';

const startMs = 180_000;
const recoveryMs = 60_000;
let root = '';
let remove: () => Promise<void> = async () => undefined;
const started: ChildProcess[] = [];

before(async () => {
  const scratch = await scratchFolder();
  ({ remove } = scratch);
  root = scratch.folder;
});

after(async () => {
  for (const child of started) if (child.exitCode === null) child.kill('SIGKILL');
  for (const { pid } of await processesIn(root)) process.kill(pid, 'SIGKILL');
  await eventually('all gone', async () => ((await processesIn(root)).length === 0 ? true : null));
  await remove();
});

interface Up {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

async function up(folder: string, args: readonly string[]): Promise<Up> {
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
    'up to show the cluster',
    () => {
      if (child.exitCode !== null) throw new Error(`up ended with ${child.exitCode}:\n${output}`);
      return /What the cluster decides, from here on/.test(output) ? true : null;
    },
    startMs,
  );
  return { child, output: () => output, ended };
}

/** The address of the primary, with the password; null while there is none. */
async function urlOf(folder: string): Promise<string | null> {
  const { code, stdout } = await cli(['url', '--with-password', '--data-dir', folder]);
  return code === 0 ? stdout.trim() : null;
}

async function query(url: string, sql: string): Promise<unknown> {
  const connection = await mysql.createConnection({ uri: url, connectTimeout: 5000 });
  connection.on('error', () => undefined);
  try {
    const [rows] = await connection.query({ sql, timeout: 10_000 });
    return rows;
  } finally {
    connection.destroy();
  }
}

/** How often an agent has written that it was chosen. */
async function electedIn(folder: string): Promise<number> {
  const logs = await Promise.all(
    ['n1', 'n2', 'n3'].map((name) => readFile(join(folder, 'logs', `${name}.log`), 'utf8')),
  );
  return (logs.join('').match(/"code":"elected"/g) ?? []).length;
}

for (const [engine, version, title] of [
  ['mysql', '9.7', 'MySQL'],
  ['mariadb', '11.8', 'MariaDB'],
] as const) {
  test(`up --engine ${engine}: a row that was acknowledged outlives its primary`, async () => {
    const folder = join(root, engine);
    const { child, output, ended } = await up(folder, ['--engine', engine, '--server-version', version]);
    assert.match(
      output(),
      new RegExp(`Cluster default is up.*: ${title} ${version.replace('.', '\\.')}\\.\\d+, 3 nodes, sync`),
    );
    assert.match(output(), new RegExp(`\\b${title.toUpperCase()}\\b`));
    assert.match(output(), /Connect {2}mysql:\/\/admin@127\.0\.0\.1:\d+\/app/);

    const first = await urlOf(folder);
    assert.ok(first !== null);
    await query(first, 'create table kept (n int primary key, what varchar(20)) engine = InnoDB');
    await query(first, "insert into kept values (1, 'before')");
    process.kill(Number(/kill -9 (\d+)/.exec(output())?.[1]), 'SIGKILL');

    const second = await eventually(
      'another primary that takes writes',
      async () => {
        const url = await urlOf(folder);
        if (url === null || url === first) return null;
        return query(url, "insert ignore into kept values (2, 'after')").then(
          () => url,
          () => null,
        );
      },
      recoveryMs,
    );
    assert.deepEqual(await query(second, 'select n, what from kept order by n'), [
      { n: 1, what: 'before' },
      { n: 2, what: 'after' },
    ]);

    await eventually(
      'the cluster to be whole again',
      async () => ((await cli(['status', '--check', '--data-dir', folder])).code === 0 ? true : null),
      recoveryMs,
    );
    for (const node of ['n1', 'n2', 'n3']) {
      await eventually(`both rows on ${node}`, async () => {
        const ran = await cli(['sql', '--on', node, 'select count(*) as n from kept', '--json', '--data-dir', folder]);
        return ran.code === 0 && String(JSON.parse(ran.stdout)[0].rows[0].n) === '2' ? true : null;
      });
    }

    const status = JSON.parse((await cli(['status', '--json', '--data-dir', folder])).stdout);
    const agents = (await processesIn(join(folder, status.leader))).filter(({ command }) =>
      / agent --config /.test(command),
    );
    assert.equal(agents.length, 1);
    process.kill(agents[0]?.pid ?? 0, 'SIGTERM');
    const causes = await eventually(
      'the history to tell of the planned stop',
      async () => {
        const { stdout } = await cli(['history', '--json', '--data-dir', folder]);
        const entries: { epoch: number; cause: string }[] = JSON.parse(stdout || '[]');
        return entries.some(({ epoch }) => epoch > status.epoch) ? entries.map(({ cause }) => cause) : null;
      },
      recoveryMs,
    );
    assert.ok(causes.includes('planned-stop'), causes.join(', '));
    const third = await urlOf(folder);
    assert.ok(third !== null && third !== second);
    assert.deepEqual(await query(third, 'select n from kept order by n'), [{ n: 1 }, { n: 2 }]);

    const elections = () => electedIn(folder);
    const before = await elections();
    assert.ok(before > 0);
    child.kill('SIGINT');
    assert.equal(await ended, 0, output());
    assert.equal(await elections(), before, 'nobody takes over in a cluster that is stopped as a whole');
    assert.deepEqual(await processesIn(folder), []);
  });
}
