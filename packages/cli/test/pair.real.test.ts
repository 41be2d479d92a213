// Goal: a circular pair lives as long as it should: through the death of the process that runs it, a restart, `down` and `destroy`; and the
// commands for clusters know it. Method: the real command, a real server (the one that starts fastest).
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cli } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';
import { processesIn } from './support/processes.ts';
import { rogueMysql } from './support/rogues.ts';

let folder = '';
let remove: () => Promise<void> = async () => undefined;

before(async () => {
  const scratch = await scratchFolder();
  ({ remove } = scratch);
  folder = join(scratch.folder, 'pair');
});

after(async () => {
  for (const { pid } of await processesIn(folder)) process.kill(pid, 'SIGKILL');
  await eventually('all gone', async () => ((await processesIn(folder)).length === 0 ? true : null));
  await remove();
});

const up = ['up', '--topology', 'circular', '--engine', 'mariadb', '--server-version', '11.8', '--detach'];

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli([...args, '--data-dir', folder], { timeoutMs: 180_000 });
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function show(): Promise<{ supervisorPid: number | null; active: string; nodes: { pid: number | null }[] }> {
  return JSON.parse(await run('pair', 'show', '--json'));
}

/** Whoever takes the ports of a stopped pair is not even asked: commands use the sockets. */
async function nothingForSquatters(): Promise<void> {
  const { nodes } = JSON.parse(await readFile(join(folder, 'pair.json'), 'utf8'));
  const rogues = await Promise.all(['n1', 'n2'].map((name) => rogueMysql(nodes[name].dbPort, null)));
  try {
    const ran = await cli(['sql', 'select 1', '--data-dir', folder]);
    assert.equal(ran.code, 4, ran.stdout + ran.stderr);
    for (const rogue of rogues) assert.equal(rogue.connections(), 0);
  } finally {
    for (const rogue of rogues) await rogue.close();
  }
}

test('up in the background, looked at, written to, switched, and given to the next process when its own is killed', async () => {
  await run(...up);
  assert.match(await run('status', '--check'), /Pair default: MariaDB 11\.8\.\d+, circular, n1 takes writes/);
  assert.match(await run('status'), /does not promise\n(.*\n)*.*asynchronous/);
  await run('sql', 'create table kept (n int auto_increment primary key); insert into kept values (null), (null)');
  assert.match(await run('pair', 'switch'), /n2 is the active one now/);
  await run('sql', 'insert into kept values (null)');
  await eventually('the odd and the even numbers on n1', async () =>
    /^1 +\n3 +\n4/m.test(`${(await run('sql', '--on', 'n1', 'select n from kept order by n')).replaceAll('\n', ' \n')}`)
      ? true
      : null,
  );
  assert.match(await run('pair', 'check'), /equal {2}3 rows of 1 table compared/);

  await run('sql', 'set session sql_log_bin = 0; insert into kept values (100)');
  const check = await cli(['pair', 'check', '--data-dir', folder]);
  assert.equal(check.code, 1);
  assert.match(check.stdout, /row:app\.kept:100(.*\n)+.*n1 has: \(no such row\)(.*\n)+.*n2 has: n='100'/);
  const asked = await cli(['pair', 'repair', 'row:app.kept:100', '--keep', 'n1', '--data-dir', folder]);
  assert.match(asked.stderr, /There is no terminal to ask on/);
  assert.match(asked.stdout, /What will be done:\n {2}1\. Close both servers/);
  const plan = JSON.parse(await run('pair', 'repair', 'row:app.kept:100', '--keep', 'n1', '--json'));
  assert.ok(plan.steps.length >= 3);
  assert.match(await run('pair', 'repair'), /row:app\.kept:100/);
  assert.match(await run('pair', 'repair', 'row:app.kept:100', '--keep', 'n1', '--yes'), /the row of n2 was discarded/);
  assert.match(await run('pair', 'check'), /equal/);

  const first = await show();
  assert.ok(first.supervisorPid !== null);
  process.kill(first.supervisorPid, 'SIGKILL');
  await eventually('nobody runs it', async () => ((await show()).supervisorPid === null ? true : null));
  const orphans = await show();
  assert.deepEqual(
    orphans.nodes.map(({ pid }) => pid),
    first.nodes.map(({ pid }) => pid),
  );
  await run('sql', 'insert into kept values (null)');

  await run(...up);
  const second = await show();
  assert.notEqual(second.supervisorPid, first.supervisorPid);
  assert.equal(second.active, 'n2');
  assert.deepEqual(
    second.nodes.map(({ pid }) => pid),
    first.nodes.map(({ pid }) => pid),
    'the servers were not taken over',
  );
});

test('commands for clusters refuse it and say where to go; down keeps the data, destroy does not', async () => {
  const refused = await cli(['switchover', '--data-dir', folder]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /holds a circular pair.*\n.*understudy pair --help/);
  const other = await cli(['up', '--topology', 'circular', '--engine', 'mysql', '--data-dir', folder]);
  assert.notEqual(other.code, 0);
  assert.match(other.stderr, /in use by process/);
  assert.match(await run('down'), /Pair default is stopped/);
  assert.deepEqual(await processesIn(folder), []);
  assert.match(await run('pair', 'show'), /No process runs this pair/);
  await nothingForSquatters();
  assert.match(await run('destroy', '--yes'), /is gone/);
  const gone = await cli(['pair', 'show', '--data-dir', folder]);
  assert.equal(gone.code, 4);
});
