import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ackRule, contains, KEEP_END } from '@understudy/core';
import { type ConformanceNode, eventually, onStage } from '@understudy/engine/conformance';
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

    it('neither applies nor leaves out what was damaged meanwhile, says so, and is whole after a new copy', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const word = server.flavour === 'mysql' ? 'replica' : 'slave';
        await nodeOf(replica).sql([`stop ${word} sql_thread`]);
        // Rows are found by their bytes only where they are not compressed.
        if (server.flavour === 'mysql') await nodeOf(leader).sql(['set global binlog_transaction_compression = off']);
        const client = await stage.connect(leader);
        const values = [1, marked, 3];
        for (const value of values) assert.equal(await client.write(value), 'acknowledged');
        // Damage at the very end of the log could be what a crash left, and is cut off.
        await nodeOf(replica).sql(['flush relay logs']);
        assert.equal(await client.write(4), 'acknowledged');
        await replica.kill();
        await stage.until(replica, 'stopped');
        await damageMarked(nodeOf(replica).input.dataDir);
        await stage.run(replica, { kind: 'start', end: KEEP_END });
        await settled(replica);
        const follow = { kind: 'follow', upstream: leader.id, epoch: stage.nextEpoch() } as const;
        if (server.flavour === 'mysql') await stage.run(replica, follow);
        const detail = await eventually('damage to be told of', async () => {
          replica.engine().takeFailures();
          await replica
            .engine()
            .maintain(stage.context(replica))
            .catch(() => undefined);
          const { state } = await replica.engine().observe();
          const receiver = state.kind === 'replica' ? state.receiver : null;
          return receiver?.kind === 'broken' && receiver.cause === 'damaged' ? (receiver.detail ?? '') : null;
        });
        assert.match(detail, /^The relay log is damaged \(/);
        assert.ok(!(await (await stage.connect(replica)).read()).some((value) => !values.includes(value)));
        await stage.join(replica, leader);
        assert.deepEqual(await (await stage.connect(replica)).read(), [1, 3, 4, marked]);
      }));
  });
}

/** Waits until the start has ended, well or with a failure. */
async function settled(node: ConformanceNode): Promise<void> {
  await eventually('the start to end', async () => (node.engine().job() === null ? true : null));
}

/** A value whose bytes are found in a log. */
const marked = 0x5eed_facade;

/** Changes one byte of that value's row in the relay log. */
async function damageMarked(dataDir: string): Promise<void> {
  const names = (await readdir(dataDir)).filter((name) => /^relay\.\d+$/.test(name)).toSorted();
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(marked));
  for (const name of names) {
    const path = join(dataDir, name);
    const log = await readFile(path);
    const at = log.indexOf(bytes.subarray(0, 5));
    if (at === -1) continue;
    log.writeUInt8(log.readUInt8(at) ^ 1, at);
    return writeFile(path, log);
  }
  throw new Error(`${names.join(', ')} do not hold the marked value`);
}
