// Goal: a member vouches for nothing that a loss of power could take from it, however it receives. Method: real servers whose applier stands
// still, so that what was received shows apart from what was applied; the agent's turns are the test's.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALONE, contains, epoch } from '@understudy/core';
import { eventually, onStage } from '@understudy/engine/conformance';
import { mysqlHarness, nodeOf } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

for (const server of await testServers(testServerNames)) {
  const thread = server.flavour === 'mariadb' ? 'stop slave sql_thread' : 'stop replica sql_thread';
  describe(`${server.flavour} ${server.version}: what is received`, () => {
    it('is synced at once by who acknowledges, and counts for anybody else only after it was synced', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = nodeOf(stage.node(2));
        assert.deepEqual(await replica.variables(['sync_relay_log']), ['1'], 'it acknowledges');
        await stage.setRule(leader, ALONE);
        const context = { ...stage.context(replica), acknowledges: 'no' } as const;
        const engine = replica.engine();
        await engine.execute({ kind: 'follow', upstream: leader.id, epoch: epoch(9) }, context);
        await stage.until(replica, 'replica', ({ receiver }) => receiver.kind === 'streaming');
        assert.deepEqual(await replica.variables(['sync_relay_log']), ['0'], 'it does not acknowledge');

        const { position: before } = await stage.until(leader, 'primary');
        await stage.until(replica, 'replica', ({ replayed }) => contains(replayed, before));
        await replica.sql([thread]);
        assert.equal(await (await stage.connect(leader)).write(1), 'acknowledged');
        const { position: written } = await stage.until(leader, 'primary');
        const received = server.flavour === 'mariadb' ? 'show all slaves status' : 'show replica status';
        const column = server.flavour === 'mariadb' ? 'Gtid_IO_Pos' : 'Retrieved_Gtid_Set';
        const end = newest(
          await nodeOf(leader).variables(
            server.flavour === 'mariadb' ? ['gtid_binlog_pos'] : ['gtid_executed', 'server_uuid'],
          ),
        );
        await eventually('it is received', async () => {
          const [row] = await replica.ask(received);
          return String(row?.[column]).split(/[-:,]/).includes(end) ? true : null;
        });
        const vouched = await stage.position(replica);
        assert.ok(!contains(vouched, written), 'it lies in the cache of the system only');

        await engine.execute({ kind: 'seal', epoch: stage.nextEpoch() }, context);
        assert.deepEqual(await replica.variables(['sync_relay_log']), ['1'], 'it is sealed');
        assert.ok(contains(await stage.position(replica), written), 'sealed, it vouches for all of it');
      }));
  });
}

/** The number of the newest transaction: of MySQL's set, which is in the order of its UUIDs, the one that the server itself wrote. */
function newest([gtids = '', uuid = '']: readonly string[]): string {
  const own = gtids.split(/,\s*/).find((part) => part.startsWith(uuid)) ?? gtids;
  return own.split(/[-:]/).at(-1) ?? '?';
}
