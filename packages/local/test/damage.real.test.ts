// Members whose data is damaged, whose places are links, and servers that are made in another way than by default: one cluster of each engine.
import assert from 'node:assert/strict';
import { lstat, mkdir, open, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { nodePaths } from '../src/folder.ts';
import { type ClusterEvent, createLocalCluster, type LocalCluster, statusOf } from '../src/index.ts';
import { temporaryFolder, understudyCommand } from './folders.ts';

interface Given {
  readonly engine: 'postgres' | 'mysql' | 'mariadb';
  readonly parameters?: Readonly<Record<string, string>>;
}

/** Starts a cluster, lets somebody do something to its data while it is stopped, and starts it again. */
async function again(
  t: TestContext,
  given: Given,
  between: (dataDirOf: (name: string) => string, folder: string) => Promise<void>,
): Promise<{ readonly cluster: LocalCluster; readonly leader: string; readonly events: readonly ClusterEvent[] }> {
  const folder = join(await temporaryFolder(t), 'c');
  const events: ClusterEvent[] = [];
  const options = {
    ...given,
    folder,
    nodes: 3,
    command: understudyCommand,
    onEvent: (one: ClusterEvent) => events.push(one),
  };
  const first = await createLocalCluster(options);
  t.after(() => first.destroy());
  await first.start();
  const leader = (await statusOf(first.nodes))?.leader ?? '';
  await first.stop();
  await between((name) => nodePaths(folder, name).dataDir, dirname(folder));
  const cluster = await createLocalCluster(options);
  t.after(() => cluster.destroy());
  return { cluster, leader, events };
}

async function zero(file: string, from: number, bytes: number): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(bytes), 0, bytes, from);
  await handle.close();
}

/** What is beside a data directory of that name and was moved aside. */
const asidesOf = async (dataDir: string): Promise<readonly string[]> =>
  (await readdir(dirname(dataDir))).filter((name) => name.startsWith(`${basename(dataDir)}.aside-`));

test('PostgreSQL: damaged members are copied anew, where their links lead', async (t) => {
  let places = { real: '', log: '', n2: '', n3: '' };
  const { cluster } = await again(t, { engine: 'postgres' }, async (dataDirOf, root) => {
    const [n2, n3] = [dataDirOf('n2'), dataDirOf('n3')];
    const real = join(root, 'big', 'n3');
    const log = join(root, 'wal', 'n3');
    for (const path of [real, log]) await mkdir(dirname(path), { recursive: true });
    await rename(n3, real);
    await rename(join(real, 'pg_wal'), log);
    await symlink(real, n3);
    await symlink(log, join(real, 'pg_wal'));
    await zero(join(real, 'global', 'pg_control'), 0, 8192);
    for (const name of await readdir(join(n2, 'pg_wal'))) {
      if (/^[0-9A-F]{24}$/.test(name)) await rm(join(n2, 'pg_wal', name));
    }
    places = { real, log, n2, n3 };
  });
  await cluster.start();
  const { real, log, n2, n3 } = places;
  assert.equal(await readlink(n3), real, 'the link is still one');
  assert((await lstat(real)).isDirectory());
  assert.equal((await asidesOf(real)).length, 1, 'the damaged data is kept, on its own disk');
  const newLog = await readlink(join(real, 'pg_wal'));
  assert.notEqual(newLog, log);
  assert.equal(dirname(newLog), dirname(log), 'and so is the log of the copy');
  assert.equal((await asidesOf(n2)).length, 1, 'a server that waited for its log for ever is copied anew');
});

test('MySQL: a database that is made with other parameters is copied with them, also after damage', async (t) => {
  const parameters = {
    lower_case_table_names: '1',
    innodb_page_size: '32k',
    collation_server: 'utf8mb4_general_ci',
    mysqlx: 'ON',
  };
  let n3 = '';
  const { cluster } = await again(t, { engine: 'mysql', parameters }, async (dataDirOf) => {
    n3 = dataDirOf('n3');
    await zero(join(n3, 'mysql.ibd'), 0, 4 * 32_768);
  });
  await cluster.start();
  assert.equal((await asidesOf(n3)).length, 1);
  const api = cluster.node((await statusOf(cluster.nodes))?.leader ?? '').api;
  for (const [wrong, why] of [
    [{ lower_case_table_names: '0' }, /counts only when a database is made/],
    [{ innodb_log_group_home_dir: '/tmp' }, /data directory/],
    [{ default_time_zone: 'Europe/Berlin' }, /offset/],
    [{ sql_mode: 'NO_SUCH_MODE' }, /would not start/],
  ] as const) {
    await assert.rejects(api.patchConfig({ parameters: wrong }), why);
  }
});

test('MariaDB: the same; and with a member that stays away the others are a cluster', async (t) => {
  const parameters = { lower_case_table_names: '1', innodb_page_size: '8k' };
  const { cluster, leader, events } = await again(t, { engine: 'mariadb', parameters }, async (dataDirOf) => {
    const [damaged = '', away = ''] = ['n3', 'n2'];
    await zero(join(dataDirOf(damaged), 'aria_log_control'), 0, 52);
    // Somebody else's data: nothing is ever done to it.
    await rm(join(dataDirOf(away), 'understudy.json'));
  });
  assert.equal(await cluster.start({ whole: 'wanted', timeoutMs: 40_000 }), leader);
  assert(events.some((event) => event.kind === 'notice' && /goes on without.*n2/.test(event.text)));
});
