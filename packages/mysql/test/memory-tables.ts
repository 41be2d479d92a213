// Goal: tables of MEMORY, which are empty after a start, cost no write and stop no replica.
// Method: real servers are killed while such a table is in use, start, and follow or lead.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALONE, ackRule, contains, KEEP_END, relation } from '@understudy/core';
import { eventually, ids, onStage } from '@understudy/engine/conformance';
import type { MysqlServer } from '@understudy/servers';
import { mysqlHarness, nodeOf, type TestNode } from './harness.ts';
import { type TestServerName, testServers } from './servers.ts';

/** The tests, on one server. */
export async function memoryTests(name: TestServerName): Promise<void> {
  for (const server of await testServers([name])) declare(server);
}

function declare(server: MysqlServer): void {
  const word = server.flavour === 'mysql' ? 'replica' : 'slave';
  describe(`${server.flavour} ${server.version}: tables of MEMORY`, () => {
    it('take the number of no transaction that a restarted replica has still to apply', () =>
      onStage(mysqlHarness(server), 3, async (stage) => {
        const leader = nodeOf(await stage.found());
        const [replica, other] = [nodeOf(stage.node(2)), nodeOf(stage.node(3))];
        await Promise.all([stage.join(replica, leader), stage.join(other, leader)]);
        await stage.setRule(leader, ackRule(ids([replica, other]), 1));
        await leader.sql(['create table conformance.cache (value int primary key) engine = memory']);
        const client = await stage.connect(leader);
        assert.equal(await client.write(1), 'acknowledged');
        await rowsOf(replica, 'numbers', 1);
        await replica.sql([`stop ${word} sql_thread`]);
        assert.equal(await client.write(2), 'acknowledged');
        await leader.sql(['insert into conformance.cache values (1)']);
        assert.equal(await client.write(3), 'acknowledged');
        const before = await stage.until(leader, 'primary');
        await eventually('all of it is received', async () => {
          const state = await stage.state(replica);
          return state.kind === 'replica' && state.position !== null && contains(state.position, before.position)
            ? true
            : null;
        });
        await replica.kill();
        await stage.until(replica, 'stopped');
        assert.equal(await client.write(9), 'acknowledged');

        await stage.run(replica, { kind: 'start', end: KEEP_END });
        await eventually('its start', async () => (replica.engine().job() === null ? true : null));
        assert.deepEqual(
          replica
            .engine()
            .takeFailures()
            .map(({ error }) => error.message),
          [],
        );
        await stage.follow(replica, leader);
        assert.equal(await client.write(10), 'acknowledged');
        const { position } = await stage.until(leader, 'primary');
        await eventually('both to hold it', async () => {
          const states = await Promise.all([stage.state(replica), stage.state(other)]);
          const held = states.map((state) => (state.kind === 'replica' ? state.position : null));
          return held.every((one) => one !== null && contains(one, position)) ? true : null;
        });
        await leader.kill();
        for (const node of [replica, other]) await stage.run(node, { kind: 'seal', epoch: stage.nextEpoch() });
        assert.equal(relation(await stage.position(replica), await stage.position(other)), 'equal');
        await stage.promote(replica, ALONE);
        assert.deepEqual(await (await stage.connect(replica)).read(), [1, 2, 3, 9, 10]);
      }));

    it('are empty on every member once a server that emptied them leads', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const leader = nodeOf(await stage.build(1));
        const replica = nodeOf(stage.node(2));
        await leader.sql([
          'create table conformance.cache (value int primary key) engine = memory',
          'create table conformance.`a ``cache` (value int primary key) engine = memory',
          'insert into conformance.cache values (1)',
          'insert into conformance.`a ``cache` values (1)',
        ]);
        await rowsOf(replica, '`a ``cache`', 1);
        await leader.kill();
        await stage.until(leader, 'stopped');
        await stage.startFenced(leader);
        await stage.promote(leader, ackRule(ids([replica]), 1));
        await stage.follow(replica, leader);
        await leader.sql(['insert into conformance.cache values (1), (2)']);
        await rowsOf(replica, 'cache', 2);
        await rowsOf(replica, '`a ``cache`', 0);

        // What came by replication in this run is kept.
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await leader.kill();
        await stage.position(replica);
        await stage.promote(replica, ALONE);
        await rowsOf(replica, 'cache', 2);
      }));
  });
}

async function rowsOf(node: TestNode, table: string, wanted: number): Promise<void> {
  await eventually(`${wanted} rows of ${table} on ${node.id}`, async () => {
    const rows = await node.ask(`select count(*) as held from conformance.${table}`).catch(() => []);
    return Number(rows[0]?.held ?? -1) === wanted ? true : null;
  });
}
