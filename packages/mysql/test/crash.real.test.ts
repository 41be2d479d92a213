import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ackRule, contains } from '@understudy/core';
import { onStage } from '@understudy/engine/conformance';
import { mysqlHarness, nodeOf } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

/** An acknowledgement stands for what was received, whether it was applied or not; MariaDB would forget it at the next start. */
for (const server of await testServers(testServerNames)) {
  describe(`${server.flavour} ${server.version}: a replica that crashes`, () => {
    it('still has what it had received and acknowledged, but not applied', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const word = server.flavour === 'mysql' ? 'replica' : 'slave';
        await nodeOf(replica).sql([`stop ${word} sql_thread`]);
        const client = await stage.connect(leader);
        for (let value = 1; value <= 5; value++) assert.equal(await client.write(value), 'acknowledged');
        const { position } = await stage.until(leader, 'primary');
        await leader.kill();
        await replica.kill();
        await stage.until(replica, 'stopped');
        const recovered = await stage.startFenced(replica);
        assert(contains(recovered, position), 'everything that it acknowledged');
        await stage.promote(replica, ackRule([], 0));
        assert.deepEqual(await (await stage.connect(replica)).read(), [1, 2, 3, 4, 5]);
      }));
  });
}
