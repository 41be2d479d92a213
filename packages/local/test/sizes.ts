import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pollUntil } from '@understudy/base';
import mysql from 'mysql2/promise';
import { createLocalCluster, type LocalCluster, type LocalEngine, readinessOf, statusOf } from '../src/index.ts';
import { understudyCommand } from './folders.ts';

const timing = { everyMs: 100, timeoutMs: 60_000 };
/** A write may wait until a host is back, which takes as long as its server takes to start. */
const queryMs = 60_000;

const versions = { mysql: '9.7', mariadb: '11.8' } as const;
type Flavour = Exclude<LocalEngine, 'postgres'>;

async function start(t: TestContext, engine: Flavour, nodes: number): Promise<LocalCluster> {
  // Removed by the cluster itself, once its processes have ended.
  const folder = await mkdtemp(join(tmpdir(), 'us-local-'));
  const version = versions[engine];
  const cluster = await createLocalCluster({ folder, engine, version, nodes, command: understudyCommand });
  t.after(() => cluster.destroy());
  await cluster.start();
  return cluster;
}

/** The leader of a cluster in which nobody is missing, other than `not` when that is given. */
async function wholeUnder(cluster: LocalCluster, not: string | null): Promise<string> {
  let seen = '';
  const leader = await pollUntil(async () => {
    const readiness = readinessOf(await statusOf(cluster.nodes), cluster.nodes.length);
    seen = readiness.kind === 'ready' ? `${readiness.leader} leads` : readiness.why;
    return readiness.kind === 'ready' && readiness.leader !== not ? readiness.leader : null;
  }, timing);
  assert.ok(leader !== null, `not whole in time: ${seen}`);
  return leader;
}

async function query(cluster: LocalCluster, node: string, sql: string): Promise<mysql.RowDataPacket[]> {
  const { host, dbPort: port } = cluster.node(node).address;
  const connection = await mysql.createConnection({ host, port, ...cluster.login, connectTimeout: queryMs });
  try {
    const [rows] = await connection.query<mysql.RowDataPacket[]>({ sql, timeout: queryMs });
    return rows;
  } finally {
    connection.destroy();
  }
}

/** Every node must come to hold these rows, and no other. */
async function holds(cluster: LocalCluster, expected: readonly number[]): Promise<void> {
  for (const { name } of cluster.nodes) {
    let found = 'nothing yet';
    const same = await pollUntil(async () => {
      // A replica that is behind may lack the table, or the account.
      found = await query(cluster, name, 'select n from kept order by n').then(
        (rows) => String(rows.map(({ n }) => Number(n))),
        (error: unknown) => String(error),
      );
      return found === String(expected) ? true : null;
    }, timing);
    assert.ok(same !== null, `${name} holds ${found}`);
  }
}

function killServer(cluster: LocalCluster, node: string): void {
  const server = cluster.node(node).server();
  assert.ok(server !== null, `${node} has a server`);
  process.kill(server.pid, 'SIGKILL');
}

/** Registers the tests of one flavour. */
export function testSizes(engine: Flavour): void {
  test(`${engine}: three failovers in a row without a write between them`, async (t) => {
    const cluster = await start(t, engine, 3);
    let leader = await wholeUnder(cluster, null);
    await query(cluster, leader, 'create table kept (n int primary key)');
    await query(cluster, leader, 'insert into kept values (1)');
    const first = (await statusOf(cluster.nodes))?.epoch ?? 0;
    for (let failover = 1; failover <= 3; failover += 1) {
      killServer(cluster, leader);
      leader = await wholeUnder(cluster, leader);
    }
    assert.ok(((await statusOf(cluster.nodes))?.epoch ?? 0) >= first + 3);
    await holds(cluster, [1]);
    await query(cluster, leader, 'insert into kept values (2)');
    await holds(cluster, [1, 2]);
  });

  test(`${engine}: two nodes, and the one that is left waits with writes until somebody acknowledges them`, async (t) => {
    const cluster = await start(t, engine, 2);
    const leader = await wholeUnder(cluster, null);
    await query(cluster, leader, 'create table kept (n int primary key)');
    await query(cluster, leader, 'insert into kept values (1)');
    await cluster.node(leader).killHost();
    const other = cluster.nodes.find(({ name }) => name !== leader)?.name ?? '';
    const opened = await pollUntil(async () => {
      const view = await cluster
        .node(other)
        .api.status()
        .catch(() => null);
      return view?.phase === 'open' && view.leader === other ? view : null;
    }, timing);
    assert.ok(opened !== null, `${other} did not take over`);
    let isDone = false;
    const write = query(cluster, other, 'insert into kept values (2)').then(() => {
      isDone = true;
    });
    assert.deepEqual(await query(cluster, other, 'select n from kept'), [{ n: 1 }]);
    assert.equal(isDone, false, 'nobody acknowledged it');
    cluster.node(leader).start();
    await write;
    assert.equal(await wholeUnder(cluster, leader), other);
    await holds(cluster, [1, 2]);
  });

  test(`${engine}: five nodes lose the host of their primary`, async (t) => {
    const cluster = await start(t, engine, 5);
    const leader = await wholeUnder(cluster, null);
    await query(cluster, leader, 'create table kept (n int primary key)');
    await query(cluster, leader, 'insert into kept values (1)');
    await cluster.node(leader).killHost();
    const survivors = cluster.nodes.filter(({ name }) => name !== leader);
    const next = await pollUntil(async () => {
      const view = await statusOf(survivors);
      return view?.phase === 'open' && view.leader !== null && view.leader !== leader ? view.leader : null;
    }, timing);
    assert.ok(next !== null, 'nobody took over');
    await query(cluster, next, 'insert into kept values (2)');
    cluster.node(leader).start();
    await wholeUnder(cluster, leader);
    await holds(cluster, [1, 2]);
  });
}
