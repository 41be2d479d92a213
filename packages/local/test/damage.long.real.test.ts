// Members whose data is damaged, whose places are links, and servers that are made in another way than by default: one cluster of each engine.
import assert from 'node:assert/strict';
import { lstat, mkdir, open, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { nodePaths } from '../src/folder.ts';
import { type ClusterEvent, createLocalCluster, type LocalCluster } from '../src/index.ts';
import { temporaryFolder, understudyCommand } from './folders.ts';

interface Given {
  readonly engine: 'postgres' | 'mysql' | 'mariadb';
  readonly parameters?: Readonly<Record<string, string>>;
}

/** A cluster that was founded and stopped again. */
interface Stopped {
  readonly replicas: readonly [string, string];
  readonly dataDirOf: (name: string) => string;
  /** A folder beside that of the cluster. */
  readonly root: string;
  readonly make: () => Promise<LocalCluster>;
  readonly notices: readonly string[];
}

async function stopped(t: TestContext, given: Given): Promise<Stopped> {
  const made: LocalCluster[] = [];
  // Before the folder goes: what is done after a test is done in the order in which it was asked for.
  t.after(async () => {
    for (const cluster of made) await cluster.destroy();
  });
  const root = await temporaryFolder(t);
  const folder = join(root, 'c');
  const notices: string[] = [];
  const onEvent = (event: ClusterEvent) => event.kind === 'notice' && notices.push(event.text);
  const make = async () => {
    const cluster = await createLocalCluster({ ...given, folder, nodes: 3, command: understudyCommand, onEvent });
    made.push(cluster);
    return cluster;
  };
  const first = await make();
  const leader = await first.start();
  const [a = '', b = ''] = first.nodes.map(({ name }) => name).filter((name) => name !== leader);
  await first.stop();
  return { replicas: [a, b], dataDirOf: (name) => nodePaths(folder, name).dataDir, root, make, notices };
}

async function zero(file: string, from: number, bytes: number): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(bytes), 0, bytes, from);
  await handle.close();
}

/** What is beside a data directory of that name and was moved aside. */
const asidesOf = async (dataDir: string): Promise<readonly string[]> =>
  (await readdir(dirname(dataDir))).filter((name) => name.startsWith(`${basename(dataDir)}.aside-`));

test('PostgreSQL: damaged members are copied anew, where their links lead; without one the others are a cluster', async (t) => {
  const { replicas, dataDirOf, root, make, notices } = await stopped(t, { engine: 'postgres' });
  const [linked, dry] = [dataDirOf(replicas[0]), dataDirOf(replicas[1])];
  const [real, log] = [join(root, 'big', 'data'), join(root, 'wal', 'log')];
  for (const path of [real, log]) await mkdir(dirname(path), { recursive: true });
  await rename(linked, real);
  await rename(join(real, 'pg_wal'), log);
  await symlink(real, linked);
  await symlink(log, join(real, 'pg_wal'));
  await zero(join(real, 'global', 'pg_control'), 0, 8192);
  for (const name of await readdir(join(dry, 'pg_wal'))) {
    if (/^[0-9A-F]{24}$/.test(name)) await rm(join(dry, 'pg_wal', name));
  }
  const cluster = await make();
  await cluster.start();
  assert.equal(await readlink(linked), real, 'the link is still one');
  assert((await lstat(real)).isDirectory());
  assert.equal((await asidesOf(real)).length, 1, 'the damaged data is kept, on its own disk');
  const newLog = await readlink(join(real, 'pg_wal'));
  assert.notEqual(newLog, log);
  assert.equal(dirname(newLog), dirname(log), 'and so is the log of the copy');
  assert.equal((await asidesOf(dry)).length, 1, 'a server that would wait for its log for ever is copied anew');
  await cluster.stop();
  // Somebody else's data: nothing is ever done to it.
  await rm(join(real, 'understudy.json'));
  assert.notEqual(await (await make()).start({ whole: 'wanted', timeoutMs: 20_000 }), replicas[0]);
  assert.match(notices.join(), new RegExp(`goes on without.*${replicas[0]}`));
});

test('MySQL: a database that is made with other parameters is copied with them, also after damage', async (t) => {
  const parameters = {
    lower_case_table_names: '1',
    innodb_page_size: '32k',
    collation_server: 'utf8mb4_general_ci',
    mysqlx: 'ON',
  };
  const { replicas, dataDirOf, make } = await stopped(t, { engine: 'mysql', parameters });
  const damaged = dataDirOf(replicas[0]);
  await zero(join(damaged, 'mysql.ibd'), 0, 4 * 32_768);
  const cluster = await make();
  const leader = await cluster.start();
  assert.equal((await asidesOf(damaged)).length, 1);
  const { api } = cluster.node(leader);
  for (const [wrong, why] of [
    [{ lower_case_table_names: '0' }, /counts only when a database is made/],
    [{ innodb_log_group_home_dir: '/tmp' }, /data directory/],
    [{ default_time_zone: 'Europe/Berlin' }, /offset/],
    [{ sql_mode: 'NO_SUCH_MODE' }, /would not start/],
  ] as const) {
    await assert.rejects(api.patchConfig({ parameters: wrong }), why);
  }
});

test('MariaDB: the same', async (t) => {
  const parameters = { lower_case_table_names: '1', innodb_page_size: '8k' };
  const { replicas, dataDirOf, make } = await stopped(t, { engine: 'mariadb', parameters });
  const damaged = dataDirOf(replicas[0]);
  await zero(join(damaged, 'aria_log_control'), 0, 52);
  const cluster = await make();
  const leader = await cluster.start();
  assert.equal((await asidesOf(damaged)).length, 1);
  await assert.rejects(
    cluster.node(leader).api.patchConfig({ parameters: { sql_mode: 'NO_SUCH_MODE' } }),
    /would not start/,
  );
});
