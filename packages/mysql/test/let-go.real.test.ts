import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ackRule, contains } from '@understudy/core';
import { type ConformanceNode, eventually, onStage } from '@understudy/engine/conformance';
import { letGoConnection, letGoOfSilent } from '../src/commands/let-go.ts';
import { stopReceiver } from '../src/commands/receiver-control.ts';
import { dialectOf } from '../src/dialect/dialect.ts';
import { mysqlProcesses as serverProcesses } from '../src/process/server-process.ts';
import { ServerSession } from '../src/sql/session.ts';
import { mysqlHarness, nodeOf, testSecrets } from './harness.ts';
import { testServers } from './servers.ts';

/** What the server's log says when a receiver has waited for its source in vain. */
const waitedInVain = /cannot connect to master to kill/i;

for (const server of await testServers(['mariadb-10.11', 'mariadb-11.8'])) {
  describe(`${server.flavour} ${server.version}: a source that has fallen silent`, { concurrency: 2 }, () => {
    it('is let go of without waiting for it, and the next leader is acknowledged to', () =>
      onStage(mysqlHarness(server), 3, async (stage) => {
        const leader = await stage.build(1);
        const [next, other] = [stage.node(2), stage.node(3)];
        assert.equal(await (await stage.connect(leader)).write(1), 'acknowledged');
        // One of the two has acknowledged, and either may come next.
        for (const node of [next, other]) {
          await eventually('the row', async () => ((await rowsOf(node)).length === 1 ? true : null));
        }
        await leader.freeze();
        for (const node of [next, other]) await silent(stage, node);
        for (const node of [next, other]) {
          await stage.run(node, { kind: 'seal', epoch: stage.nextEpoch() });
          assert.doesNotMatch(await serverLog(node), waitedInVain);
          const rows = await nodeOf(node).ask('show all slaves status');
          assert.deepEqual(
            rows.map((row) => [row.Connection_name, row.Slave_IO_Running]),
            [['', 'No']],
          );
        }
        await stage.promote(next, ackRule([other.id], 1));
        await stage.follow(other, next);
        assert.equal(await (await stage.connect(next)).write(2, 30_000), 'acknowledged');
        await thaw(leader);
      }));

    it('that wakes up in the middle of it is neither acknowledged to nor believed, and nothing is lost by it', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const client = await stage.connect(leader);
        assert.equal(await client.write(1), 'acknowledged');
        const before = await stage.position(replica);
        const dialect = dialectOf(new Set(['gtid_domain_id']), server.version);
        const session = await admin(replica);
        try {
          await session.query(`set global ${dialect.semiSync.replicaEnabled} = off`);
          // It is said to be silent, and is not.
          await letGoOfSilent(session, dialect, 10_000, Date.parse('2026-12-24'));
          assert.notEqual(await client.write(2, 1500), 'acknowledged');
          const row = await eventually('the receiver to end', async () => {
            const rows = await session.query(dialect.channelStatus);
            return rows.find((each) => each.Connection_name === '' && each.Slave_IO_Running === 'No') ?? null;
          });
          assert.equal(row.Last_IO_Errno, '1595', 'what arrived was not queued');
          await stopReceiver(session, dialect);
          const names = (await session.query(dialect.channelStatus)).map((each) => each.Connection_name);
          assert.ok(!names.includes(letGoConnection));
        } finally {
          await session.end();
        }
        assert.ok(contains(await stage.position(replica), before));
        await stage.follow(replica, leader);
        await eventually('both rows', async () => ((await rowsOf(replica)).length === 2 ? true : null));
        assert.equal(await (await stage.connect(leader)).write(3, 30_000), 'acknowledged');
      }));
  });
}

async function silent(stage: Parameters<Parameters<typeof onStage>[2]>[0], node: ConformanceNode): Promise<void> {
  await stage.until(node, 'replica', ({ receiver }) => receiver.kind === 'streaming' && receiver.silentMs > 900);
}

const serverLog = (node: ConformanceNode): Promise<string> =>
  readFile(join(nodeOf(node).input.runDir, 'server.log'), 'utf8');

async function rowsOf(node: ConformanceNode): Promise<readonly unknown[]> {
  return nodeOf(node).ask('select value from conformance.numbers');
}

async function thaw(node: ConformanceNode): Promise<void> {
  for (const pid of await serverProcesses(nodeOf(node).input.dataDir)) process.kill(pid, 'SIGCONT');
}

function admin(node: ConformanceNode): Promise<ServerSession> {
  const at = { kind: 'socket', path: join(nodeOf(node).input.runDir, 'mysql.sock') } as const;
  return ServerSession.open({ at, user: 'us_admin', password: testSecrets.admin, tls: null }, 2000);
}
