import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ALONE, contains, epoch } from '@understudy/core';
import type { ClusterContext } from '@understudy/engine';
import { type ConformanceNode, eventually, onStage, type Stage } from '@understudy/engine/conformance';
import { freePort, mysqlHarness, nodeOf } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

/** Why a replica lags, as its server shows it. Locks, delays and errors are in other files. */
for (const server of await testServers(testServerNames)) {
  const harness = mysqlHarness(server);
  describe(`${server.flavour} ${server.version}: lag`, { concurrency: 2 }, () => {
    it('is the network when what the leader wrote does not arrive', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await stage.setRule(leader, ALONE);
        const line = await slowLine(leader.port, await freePort());
        try {
          const context = async () => through(stage, replica, leader, line.port);
          const follow = { kind: 'follow', upstream: leader.id, epoch: epoch(9) } as const;
          await replica.engine().execute(follow, await context());
          await stage.until(replica, 'replica', ({ receiver }) => receiver.kind === 'streaming');
          await nodeOf(leader).sql([
            'create table conformance.large (id int primary key auto_increment, text longblob)',
            `insert into conformance.large (text) values (${randomKilobytes(900)})`,
          ]);
          await warned(replica, context, /has not received what n1 wrote \d+ s ago: the network between them is slow/);
        } finally {
          line.close();
        }
      }));

    it('is one long transaction while that is being applied', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await stage.setRule(leader, ALONE);
        const { prepare, harder, write } = slowToApply[server.flavour];
        await nodeOf(leader).sql(prepare);
        await caughtUp(stage, replica, leader);
        await nodeOf(replica).sql(harder);
        await nodeOf(leader).sql(write);
        const context = async () => through(stage, replica, leader, leader.port);
        await warned(replica, context, /applying one transaction of \d+ row changes so far, for \d+ s/);
        await caughtUp(stage, replica, leader);
      }));
  });
}

/** Kilobytes that no compression makes smaller. */
const randomKilobytes = (count: number): string =>
  `concat(${Array.from({ length: count }, () => 'random_bytes(1024)').join(', ')})`;

const rows = (count: number): string =>
  `insert into conformance.\`rows\` with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count}) select i, uuid(), uuid() from n`;
const indexes = Array.from({ length: 8 }, (_, index) => `add index i${index} (a, b, id)`).join(', ');

/** One transaction that a replica applies much slower than its leader wrote it. */
const slowToApply = {
  // The replica has indexes that its leader has not.
  mysql: {
    prepare: ['create table conformance.`rows` (id int primary key, a char(36), b char(36))'],
    harder: [
      'set global super_read_only = off',
      'set sql_log_bin = 0',
      `alter table conformance.\`rows\` ${indexes}`,
      'set global super_read_only = on',
    ],
    write: ['set cte_max_recursion_depth = 200000', rows(180_000)],
  },
  // Without a key, each row is looked for in the whole table.
  mariadb: {
    prepare: [
      'create table conformance.`rows` (id int, a char(36), b char(36))',
      'set max_recursive_iterations = 200000',
      rows(8000),
    ],
    harder: [],
    write: ['update conformance.`rows` set a = uuid()'],
  },
} as const;

async function caughtUp(stage: Stage, node: ConformanceNode, leader: ConformanceNode): Promise<void> {
  const { position } = await stage.until(leader, 'primary');
  await stage.until(node, 'replica', ({ replayed }) => contains(replayed, position));
}

/** What the agent would say, with the leader behind `port`. */
async function through(
  stage: Stage,
  node: ConformanceNode,
  leader: ConformanceNode,
  port: number,
): Promise<ClusterContext> {
  const context = stage.context(node);
  const known = context.members.get(leader.id);
  assert(known !== undefined);
  const { position } = await stage.until(leader, 'primary');
  const members = new Map(context.members).set(leader.id, { ...known, port });
  return { ...context, members, positions: new Map([[leader.id, position]]), acknowledges: 'no' };
}

async function warned(node: ConformanceNode, context: () => Promise<ClusterContext>, pattern: RegExp): Promise<void> {
  const seen = async () => (await node.engine().observe()).details.warnings;
  await eventually(
    String(pattern),
    async () => {
      await node.engine().maintain(await context());
      return (await seen()).some((warning) => pattern.test(warning)) ? true : null;
    },
    async () => (await seen()).join('\n'),
  );
}

const chunkBytes = 2048;
const chunkEveryMs = 40;

/** A line to `target` on which answers come at 50 kB a second. */
async function slowLine(target: number, port: number): Promise<{ readonly port: number; readonly close: () => void }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    trickle(far, near).catch(() => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()));
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port, close };
}

async function trickle(from: Socket, to: Socket): Promise<void> {
  for await (const data of from) {
    const bytes: Buffer = data;
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      to.write(bytes.subarray(at, at + chunkBytes));
      if (bytes.length > chunkBytes) await delay(chunkEveryMs);
    }
  }
}
