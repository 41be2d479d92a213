// Goal: logins of members are changed by one command while everybody writes, and a secret that was dropped, or is another member's,
// opens nothing. Method: a real cluster without TLS, where a password is all that there is, driven by the real command.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createLocalCluster, type LocalCluster } from '@understudy/local';
import pg from 'pg';
import { ownCommand } from '../src/invocation.ts';
import { cli, startCli } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';

let cluster: LocalCluster | null = null;
let folder = '';
let remove: () => Promise<void> = async () => undefined;

before(async () => {
  const scratch = await scratchFolder();
  remove = scratch.remove;
  folder = join(scratch.folder, 'cluster');
  cluster = await createLocalCluster({ folder, version: '17', nodes: 3, tls: 'off', command: ownCommand });
  await cluster.start();
});

after(async () => {
  await cluster?.kill();
  await cluster?.stop();
  await remove();
});

const names = ['n1', 'n2', 'n3'];

async function secretsOf(file: string): Promise<Record<string, string>> {
  return JSON.parse(await readFile(file, 'utf8'));
}

interface Login {
  readonly user: string;
  readonly password: string;
}

/** What a member logs in with, oldest first. */
async function loginsOf(member: string): Promise<readonly Login[]> {
  const { own } = JSON.parse(await readFile(join(folder, member, 'run', 'logins.json'), 'utf8'));
  return own.map(({ slot, password }: { slot: string; password: string }) => ({
    user: `understudy_repl_${member}_${slot}`,
    password,
  }));
}

async function leader(): Promise<{ readonly name: string; readonly port: number }> {
  const ran = await cli(['status', '--json', '--data-dir', folder]);
  const status = JSON.parse(ran.stdout);
  const member = status.members.find(({ id }: { id: string }) => id === status.leader);
  return { name: member.id, port: member.port };
}

/** Whether that login opens a stream of the log there. */
async function opens({ user, password }: Login, port: number): Promise<boolean> {
  const options = { host: '127.0.0.1', port, user, password, database: 'postgres', replication: 'true' };
  const client = new pg.Client(options);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('IDENTIFY_SYSTEM');
    return true;
  } catch (error) {
    assert.match(String(error), /password authentication failed|not permitted to log in|pg_hba/);
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Lines of the servers' logs about logins that were turned away. */
async function refusedLogins(): Promise<readonly string[]> {
  const texts = await Promise.all(
    names.map(async (name) => {
      const run = join(folder, name, 'run', 'server');
      const logs = (await readdir(run)).filter((file) => file.startsWith('postgres.log'));
      return Promise.all(logs.map((file) => readFile(join(run, file), 'utf8')));
    }),
  );
  return texts
    .flat()
    .flatMap((text) => text.split('\n'))
    .filter((line) => /authentication failed|not permitted to log in|no pg_hba/.test(line));
}

/** Writers that commit without end. */
async function startWriters(port: number, count: number) {
  const { superuser } = await secretsOf(join(folder, 'secrets.json'));
  let isOver = false;
  let commits = 0;
  let longestMs = 0;
  const failures: unknown[] = [];
  const writers = Array.from({ length: count }, async () => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password: superuser,
      database: 'postgres',
    });
    client.on('error', (error) => failures.push(error));
    await client.connect();
    while (!isOver && failures.length === 0) {
      const beginMs = performance.now();
      await client.query('insert into load values (1)').catch((error: unknown) => failures.push(error));
      longestMs = Math.max(longestMs, performance.now() - beginMs);
      commits++;
    }
    await client.end();
  });
  return {
    stop: async () => {
      isOver = true;
      await Promise.all(writers);
      return { commits, longestMs, failures };
    },
  };
}

async function sql(statement: string): Promise<readonly unknown[]> {
  const ran = await cli(['sql', statement, '--json', '--data-dir', folder]);
  assert.equal(ran.code, 0, ran.stderr);
  const [{ rows = [] } = {}] = JSON.parse(ran.stdout);
  return rows;
}

test('members have logins of their own, and none opens with what all of them share', async () => {
  const { port } = await leader();
  const { replication = '' } = await secretsOf(join(folder, 'secrets.json'));
  assert(!(await opens({ user: 'understudy_replication', password: replication }, port)), 'the shared one is closed');
  for (const name of names) {
    const [own] = await loginsOf(name);
    assert(own !== undefined);
    assert(await opens(own, port), `${name} with its own`);
    for (const other of names.filter((each) => each !== name)) {
      const [theirs] = await loginsOf(other);
      assert(!(await opens({ user: own.user, password: theirs?.password ?? '' }, port)), `${other} as ${name}`);
    }
    assert(!(await opens({ user: own.user, password: replication }, port)), `${name} with the shared password`);
  }
});

test('a rotation under load fails no login and no write, and ends what was there before', async (t) => {
  const { port, name: leading } = await leader();
  await sql('create table load (value int)');
  const before = new Map(await Promise.all(names.map(async (name) => [name, await loginsOf(name)] as const)));
  const refused = (await refusedLogins()).length;
  const writers = await startWriters(port, 4);
  // Killed in the middle: agents go on by themselves, and the next run sees the end.
  const killed = startCli(['secrets', 'rotate', 'replication', '--data-dir', folder]);
  await eventually('a rotation that has begun', async () =>
    (await Promise.all(names.map(loginsOf))).some((logins) => logins.length > 1) ? true : null,
  );
  killed.kill('SIGKILL');
  const ran = await cli(['secrets', 'rotate', 'replication', '--json', '--data-dir', folder], { timeoutMs: 120_000 });
  const { commits, longestMs, failures } = await writers.stop();
  t.diagnostic(`${commits} commits, the longest ${Math.round(longestMs)} ms`);
  assert.equal(ran.code, 0, ran.stderr);
  const { members } = JSON.parse(ran.stdout);
  assert.deepEqual(
    members.map(({ result }: { result: string }) => result),
    ['done', 'done', 'done'],
  );
  assert.equal(members.at(-1).member, leading, 'the leader last');
  assert.deepEqual(failures, []);
  assert.deepEqual((await refusedLogins()).slice(refused), [], 'no login failed');
  assert(longestMs < 2000, `a write took ${longestMs} ms`);
  const roles = "select rolname from pg_roles where rolname like 'understudy\\_repl\\_%'";
  await eventually('roles of the new logins alone', async () => ((await sql(roles)).length === 3 ? true : null));
  for (const name of names) {
    const now = await loginsOf(name);
    assert.equal(now.length, 1);
    for (const old of before.get(name) ?? []) {
      assert(!now.some(({ password }) => password === old.password), `${name} has another password`);
      assert(!(await opens(old, port)), `the old login of ${name} is of no use`);
    }
  }
  const streams = await sql("select usename from pg_stat_replication where application_name ~ '^n[123][.]'");
  assert.equal(streams.length, 2);
});

test('a token is changed on all agents, and the one before opens nothing', async () => {
  const file = join(folder, 'token');
  const before = (await readFile(file, 'utf8')).trim();
  const urls = (cluster?.nodes ?? []).map(({ address }) => address.apiUrl);
  const statusWith = async (url: string, token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ step: 'drop', name: 'token' });
    return (await fetch(`${url}/understudy/secrets/token`, { method: 'POST', headers, body })).status;
  };
  for (const url of urls) assert.equal(await statusWith(url, before), 200);
  const ran = await cli(['secrets', 'rotate', 'token', '--data-dir', folder]);
  assert.equal(ran.code, 0, ran.stderr);
  const now = (await readFile(file, 'utf8')).trim();
  assert.notEqual(now, before);
  assert.match(now, /^\S{16,}$/);
  for (const url of urls) {
    assert.equal(await statusWith(url, before), 403, url);
    assert.equal(await statusWith(url, now), 200, url);
  }
  const paused = await cli(['pause', '--data-dir', folder]);
  assert.equal(paused.code, 0, paused.stderr);
  await cli(['resume', '--data-dir', folder]);
  for (const text of [ran.stdout, ran.stderr]) assert(!text.includes(now));
});

test('no password of a member is in a log, a statement or the store', async () => {
  const passwords = (await Promise.all(names.map(loginsOf))).flat().map(({ password }) => password);
  const files = [
    'store.db',
    'store.db-wal',
    ...(await readdir(join(folder, 'logs'))).map((name) => join('logs', name)),
  ];
  const servers = names.map((name) => join(name, 'run', 'server', 'postgres.log'));
  for (const file of [...files, ...servers]) {
    const text = await readFile(join(folder, file), 'latin1').catch(() => '');
    for (const password of passwords) assert(!text.includes(password), file);
  }
});
