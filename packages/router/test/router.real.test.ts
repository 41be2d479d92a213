// Goal: through one address, sessions keep what is theirs and get nothing of others, and a failover is a wait.
// Method: a router with one worker and few server connections, so that sessions share them all the time, in front of a real cluster.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { createLocalCluster, type LocalCluster } from '@understudy/local';
import { encodeCancel, encodeStartup } from '@understudy/wire/postgres';
import pg from 'pg';
import { checkRouterConfig, type RouterConfigInput, type RunningRouter, startRouter } from '../src/index.ts';
import { RawClient } from './raw-client.ts';

const command = [process.execPath, resolve(import.meta.dirname, '../../cli/src/main.ts')];
let cluster: LocalCluster;
let router: RunningRouter;
/** In front of the same cluster, as it is without configuration: a server connection for each session. */
let sessions: RunningRouter;
let sessionPort = 0;
let folder = '';
let port = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-router-'));
  await chmod(folder, 0o755);
  cluster = await createLocalCluster({ folder: join(folder, 'c'), command });
  await cluster.start();
  // On disk, because worker processes read it. The servers' certificates carry the loopback address.
  const serverCa = join(folder, 'servers.pem');
  await writeFile(serverCa, cluster.login.ca ?? '');
  const common = {
    listen: { readWrite: '127.0.0.1:0', readOnly: '127.0.0.1:0' },
    cluster: {
      agents: cluster.nodes.map((node) => node.address.apiUrl),
      ...(cluster.caFile === null ? {} : { caFile: cluster.caFile }),
    },
    auth: { user: cluster.login.user },
    workers: 1,
    serverTls: cluster.login.ca === null ? { mode: 'disable' } : { mode: 'verify-full', caFile: serverCa },
    hold: { maxMs: 60_000 },
  } as const;
  const started = (own: Partial<RouterConfigInput>): Promise<RunningRouter> =>
    startRouter(checkRouterConfig({ ...common, ...own }, 'the test'), {
      password: cluster.login.password,
      onEvent: () => undefined,
    });
  router = await started({ pooling: 'transaction', pool: { size: 2 } });
  port = router.addresses.readWrite?.port ?? 0;
  sessions = await started({ pool: { size: 16 } });
  sessionPort = sessions.addresses.readWrite?.port ?? 0;
});

after(async () => {
  await sessions?.stop();
  await router?.stop();
  await cluster?.destroy();
  await rm(folder, { recursive: true, force: true });
});

const { user, password, database } = { user: 'postgres', password: () => cluster.login.password, database: 'postgres' };

async function connected(settings: Partial<pg.ClientConfig> = {}): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, password: password(), database, ...settings });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const raw = (): Promise<RawClient> => RawClient.logIn({ port, user, password: password(), database });

const extended = (text: string, name = '') =>
  [
    { kind: 'parse', name, text, types: [] },
    { kind: 'bind', portal: '', statement: name, formats: [], values: [], resultFormats: [] },
    { kind: 'execute', portal: '', maxRows: 0 },
  ] as const;

test('five pipelined groups of three clients over two connections: each answer is of its own query', async () => {
  const clients = await Promise.all([raw(), raw(), raw()]);
  for (let round = 0; round < 20; round++) {
    clients.forEach((client, at) => {
      for (let i = 0; i < 5; i++) client.send(...extended(`select 'c${at} q${i} r${round}'`), { kind: 'sync' });
    });
    for (const [at, client] of clients.entries()) {
      for (let i = 0; i < 5; i++) {
        assert.deepEqual(await client.untilReady(), [
          'parse-complete',
          'bind-complete',
          `row c${at} q${i} r${round}`,
          'SELECT 1',
          'ready I',
        ]);
      }
    }
  }
  for (const client of clients) client.close();
});

test('an error drops the rest of its group and nothing else', async () => {
  const client = await raw();
  client.send(...extended('select 1/0'), ...extended('select 2'), { kind: 'sync' }, ...extended('select 3'), {
    kind: 'sync',
  });
  assert.deepEqual(await client.untilReady(), ['parse-complete', 'error 22012', 'ready I']);
  assert.deepEqual(await client.untilReady(), ['parse-complete', 'bind-complete', 'row 3', 'SELECT 1', 'ready I']);
  client.close();
});

test('statements of one name in several sessions, on connections that change', async () => {
  const clients = await Promise.all([raw(), raw(), raw(), raw()]);
  for (const [at, client] of clients.entries()) {
    client.send({ kind: 'parse', name: 's', text: `select ${at}`, types: [] }, { kind: 'sync' });
    assert.deepEqual(await client.untilReady(), ['parse-complete', 'ready I']);
  }
  const [, bind, execute] = extended('', 's');
  for (let round = 0; round < 10; round++) {
    for (const client of clients) client.send(bind, execute, { kind: 'sync' });
    for (const [at, client] of clients.entries()) {
      assert.deepEqual(await client.untilReady(), ['bind-complete', `row ${at}`, 'SELECT 1', 'ready I']);
    }
  }
  const [first] = clients;
  first?.send({ kind: 'parse', name: 's', text: 'select 9', types: [] }, { kind: 'sync' });
  assert.deepEqual(await first?.untilReady(), ['error 42P05', 'ready I']);
  first?.send({ kind: 'close', target: 'statement', name: 's' }, bind, { kind: 'sync' });
  assert.deepEqual(await first?.untilReady(), ['close-complete', 'error 26000', 'ready I']);
  for (const client of clients) client.close();
});

test('settings go with their session and reach no other', async () => {
  const clients = await Promise.all(
    Array.from({ length: 4 }, (_, at) =>
      connected({ application_name: `app ${at}`, options: `-c work_mem=${at + 1}MB` }),
    ),
  );
  for (const [at, client] of clients.entries()) await client.query(`set search_path = s${at}, public`);
  await clients[0]?.query('begin; set lock_timeout = 77; rollback');
  for (let round = 0; round < 5; round++) {
    const rows = await Promise.all(
      clients.map((client) =>
        client.query(
          "select current_setting('application_name') a, current_setting('work_mem') w, current_setting('search_path') s, current_setting('lock_timeout') l",
        ),
      ),
    );
    rows.forEach(({ rows: [row] }, at) => {
      assert.deepEqual(row, { a: `app ${at}`, w: `${at + 1}MB`, s: `s${at}, public`, l: '0' });
    });
  }
  for (const client of clients) await client.end();
  const fresh = await connected();
  const { rows } = await fresh.query("select current_setting('search_path') s, current_setting('work_mem') w");
  assert.deepEqual(rows, [{ s: '"$user", public', w: '4MB' }]);
  await fresh.end();
});

test('a temporary table keeps its connection, and is gone when the session ends', async () => {
  const one = await connected();
  await one.query('create temp table mine (a int)');
  const two = await connected();
  await Promise.all(Array.from({ length: 5 }, () => two.query('select 1')));
  assert.deepEqual((await one.query('select count(*)::int n from mine')).rows, [{ n: 0 }]);
  await one.end();
  for (let i = 0; i < 4; i++) await assert.rejects(two.query('select * from mine'), { code: '42P01' });
  await two.end();
});

test('COPY both ways, and a copy that fails in the middle', async () => {
  const client = await raw();
  client.send({ kind: 'query', text: 'create table copied (a int)' });
  await client.untilReady();
  client.send(
    { kind: 'query', text: 'copy copied from stdin' },
    { kind: 'copy-data', bytes: Buffer.from('1\n2\n') },
    { kind: 'copy-done' },
  );
  assert.deepEqual(await client.untilReady(), ['copy-in', 'COPY 2', 'ready I']);
  client.send({ kind: 'query', text: 'copy copied from stdin' });
  client.send({ kind: 'copy-data', bytes: Buffer.from('not a number\n'.repeat(10_000)) }, { kind: 'copy-done' });
  assert.deepEqual(await client.untilReady(), ['copy-in', 'error 22P02', 'ready I']);
  client.send(
    { kind: 'copy-data', bytes: Buffer.from('too late\n') },
    { kind: 'query', text: 'copy copied to stdout' },
  );
  assert.deepEqual(await client.untilReady(), ['copy-out', 'copy-data', 'copy-data', 'copy-done', 'COPY 2', 'ready I']);
  client.close();
});

test('a cancel reaches the statement that it is meant for, and no other', async () => {
  const [one, two] = await Promise.all([raw(), raw()]);
  one.send({ kind: 'query', text: 'select pg_sleep(30)' });
  two.send({ kind: 'query', text: "select pg_sleep(0.5), 'two'" });
  const canceller = RawClient.bare(port);
  await new Promise((done) => canceller.socket.once('connect', done));
  canceller.socket.write(encodeCancel(one.processId, one.secret));
  const said = await one.untilReady();
  assert.deepEqual(said.slice(-2), ['error 57014', 'ready I']);
  assert.deepEqual((await two.untilReady()).slice(-2), ['SELECT 1', 'ready I']);
  const forger = RawClient.bare(port);
  await new Promise((done) => forger.socket.once('connect', done));
  two.send({ kind: 'query', text: "select pg_sleep(0.3), 'two'" });
  forger.socket.write(encodeCancel(two.processId, Buffer.alloc(4)));
  assert.deepEqual((await two.untilReady()).slice(-2), ['SELECT 1', 'ready I']);
  for (const client of [one, two, canceller, forger]) client.close();
});

test('who may not come in: wrong password, unknown user, second startup packet, nonsense', async () => {
  await assert.rejects(connected({ password: 'wrong' }), { code: '28P01' });
  await assert.rejects(connected({ user: 'nobody', password: 'wrong' }), { code: '28P01' });
  await assert.rejects(connected({ database: 'nowhere' }), { code: '3D000' });
  await assert.rejects(connected({ options: '-c no_such_setting=1' }), { code: '42704' });
  const second = RawClient.bare(port);
  const startup = encodeStartup({ major: 3, minor: 0 }, [
    ['user', user],
    ['database', database],
  ]);
  second.socket.write(startup);
  await second.next().catch(() => undefined);
  second.socket.write(startup);
  await new Promise((done) => second.socket.once('close', done));
  const nonsense = RawClient.bare(port);
  nonsense.socket.write('GET / HTTP/1.1\r\n\r\n');
  await new Promise((done) => nonsense.socket.once('close', done));
  const client = await connected();
  assert.deepEqual((await client.query('select 1 as a')).rows, [{ a: 1 }]);
  await client.end();
});

const pidOf = async (client: pg.Client): Promise<number> =>
  (await client.query<{ pid: number }>('select pg_backend_pid() pid')).rows[0]?.pid ?? 0;

test('session pooling: one server connection from the first statement to the end, and nothing of it reaches the next session', async () => {
  const admin = await connected();
  await admin.query(`create or replace function hides() returns void language plpgsql as
    $$ begin perform set_config('work_mem', '64kB', false); create temp table if not exists left_behind (a int); end $$`);
  const [one, two] = [await connected({ port: sessionPort }), await connected({ port: sessionPort })];
  const pid = await pidOf(one);
  for (let round = 0; round < 3; round++) assert.notEqual(await pidOf(two), pid);
  await one.query('select hides()');
  await one.query('begin');
  assert.equal(await pidOf(one), pid);
  await one.end();
  await two.end();
  const found = new Set<number>();
  const fresh = await Promise.all(Array.from({ length: 2 }, () => connected({ port: sessionPort })));
  for (const client of fresh) {
    found.add(await pidOf(client));
    const { rows } = await client.query("select current_setting('work_mem') w, to_regclass('left_behind') t");
    assert.deepEqual(rows, [{ w: '4MB', t: null }]);
  }
  assert.ok(found.has(pid), 'the connection was not used again: nothing was tested');
  for (const client of [admin, ...fresh]) await client.end();
});

test('session pooling: a lost server is replaced while all state is known, and ends the session otherwise', async () => {
  const admin = await connected();
  const [plain, doubtful] = [await connected({ port: sessionPort }), await connected({ port: sessionPort })];
  await plain.query('set work_mem = 66; create table if not exists plain_table (a int)');
  await plain.query('insert into plain_table values ($1)', [1]);
  await doubtful.query('select hides()');
  const { rows } = await admin.query<{ pid: number }>(
    "select pid from pg_stat_activity where query in ('insert into plain_table values ($1)', 'select hides()')",
  );
  assert.equal(rows.length, 2);
  const ended = new Promise<Error>((done) => doubtful.once('error', done));
  for (const { pid } of rows) await admin.query('select pg_terminate_backend($1)', [pid]);
  assert.equal((await ended) instanceof pg.DatabaseError && ((await ended) as pg.DatabaseError).code, '57P01');
  await reached(
    async () =>
      (await admin.query('select 1 from pg_stat_activity where pid = any($1)', [rows.map((each) => each.pid)]))
        .rowCount === 0,
  );
  const after = await plain.query("select current_setting('work_mem') w");
  assert.deepEqual(after.rows, [{ w: '66kB' }]);
  for (const client of [admin, plain]) await client.end();
});

test('the connections to the servers are encrypted', async () => {
  const client = await connected();
  const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
  assert.deepEqual(rows, [{ ssl: cluster.login.ca !== null }]);
  await client.end();
});

test('the console over psql', async () => {
  const client = await connected({ database: 'pgbouncer' });
  const nodes = await client.query('SHOW NODES');
  assert.equal(nodes.rows.length, 3);
  assert.equal(nodes.rows.filter((row: { primary: string }) => row.primary === 'yes').length, 1);
  await assert.rejects(client.query('DROP DATABASE postgres'), { code: '42601' });
  await client.end();
});

/** Clients that write all the time, in transactions and outside, until `during` has happened. */
async function under(
  clients: number,
  during: () => Promise<void>,
): Promise<{ codes: string[]; lost: number; done: number }> {
  const admin = await connected();
  await admin.query('drop table if exists acked; create table acked (id text primary key)');
  const codes: string[] = [];
  const acknowledged: string[] = [];
  let isOver = false;
  const work = async (number: number): Promise<void> => {
    // Half of them with a server connection each, half with shared ones.
    const client = await connected(number % 2 === 0 ? { port: sessionPort } : {});
    for (let i = 0; !isOver; i++) {
      const id = `${number}-${i}`;
      try {
        if (i % 2 === 0) {
          await client.query('insert into acked values ($1)', [id]);
        } else {
          await client.query('begin');
          await client.query(`insert into acked values ('${id}')`);
          await client.query('commit');
        }
        acknowledged.push(id);
      } catch (error) {
        codes.push(error instanceof pg.DatabaseError ? `${error.code}` : `${error}`);
        await client.query('rollback').catch((second: unknown) => codes.push(`rollback: ${second}`));
      }
    }
    await client.end();
  };
  const running = Promise.all(Array.from({ length: clients }, (_, number) => work(number)));
  await reached(() => acknowledged.length > 100);
  await during();
  const before = acknowledged.length;
  await reached(() => acknowledged.length > before + 100);
  isOver = true;
  await running;
  const { rows } = await admin.query<{ id: string }>('select id from acked');
  await admin.end();
  const there = new Set(rows.map((row) => row.id));
  return { codes, lost: acknowledged.filter((id) => !there.has(id)).length, done: acknowledged.length };
}

async function reached(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, 'not reached within a minute');
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** What the statements that were under way may get, and nothing else: every connection stays. */
const honest = new Set(['40001', '08007']);

test('the primary is killed under 20 clients: no connection ends, only what was under way fails, nothing is lost', async () => {
  const idle = await connected();
  const mine = await connected({ port: sessionPort });
  await mine.query('set work_mem = 77');
  const leader = router.view.primary ?? '';
  const { codes, lost } = await under(20, async () => {
    const file = join(folder, 'c', leader, 'data', 'postmaster.pid');
    process.kill(Number((await readFile(file, 'utf8')).split('\n')[0]), 'SIGKILL');
    await reached(() => router.view.primary !== leader && router.view.primary !== null);
  });
  assert.equal(lost, 0);
  assert.deepEqual(
    codes.filter((code) => !honest.has(code)),
    [],
  );
  assert.ok(codes.length <= 20, `${codes.length} errors of 20 clients`);
  // Its first statement comes after all that.
  assert.equal((await idle.query('select pg_is_in_recovery() as r')).rows[0]?.r, false);
  await idle.end();
  const { rows } = await mine.query("select current_setting('work_mem') w");
  assert.deepEqual(rows, [{ w: '77kB' }]);
  await mine.end();
});

test('a switchover under 20 clients', async () => {
  const leader = router.view.primary ?? '';
  const target = router.view.members.find((each) => each.serves === 'replica')?.name ?? '';
  const { codes, lost } = await under(20, async () => {
    await cluster.node(leader).api.switchover({ to: target, waitMs: 60_000 });
    await reached(() => router.view.primary === target);
  });
  assert.equal(lost, 0);
  assert.deepEqual(
    codes.filter((code) => !honest.has(code)),
    [],
  );
  assert.ok(codes.length <= 20, `${codes.length} errors of 20 clients`);
});

test('the port for reads leads to a replica', async () => {
  const reader = await connected({ port: router.addresses.readOnly?.port ?? 0 });
  assert.equal((await reader.query('select pg_is_in_recovery() as r')).rows[0]?.r, true);
  await reader.end();
});
