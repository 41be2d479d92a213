import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALONE } from '@understudy/core';
import { eventually, onStage } from '@understudy/engine/conformance';
import { mysqlHarness, nodeOf } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
for (const server of await testServers(testServerNames.filter((name) => chosen === undefined || name === chosen))) {
  const harness = mysqlHarness(server);
  describe(`${server.flavour} ${server.version}: a copy`, () => {
    it('waits for a leader that has opened and not made its accounts yet', () =>
      onStage(harness, 2, async (stage) => {
        const [leader, replica] = [stage.node(1), stage.node(2)];
        await stage.run(leader, { kind: 'initialize' });
        await stage.until(leader, 'stopped');
        await stage.startFenced(leader);
        await stage.promote(leader, ALONE);
        await stage.run(replica, { kind: 'clone', from: leader.id });
        await eventually('a login that was refused', async () => {
          const [refused] = await nodeOf(leader).ask("show global status like 'Aborted_connects'");
          return Number(refused?.Value) > 0 ? true : null;
        });
        await stage.run(leader, { kind: 'provision' });
        await stage.until(replica, 'stopped');
        assert.equal((await stage.startFenced(replica)).kind, 'gtid');
      }));
  });
}
