import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALONE, ackRule, contains, DEFAULT_TAGS, epoch, KEEP_END } from '@understudy/core';
import type { ClusterContext } from '@understudy/engine';
import { type ConformanceNode, eventually, onStage, type Stage } from '@understudy/engine/conformance';
import { mysqlHarness, nodeOf } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

const hourMs = 3_600_000;

for (const server of await testServers(testServerNames)) {
  const harness = mysqlHarness(server);
  describe(`${server.flavour} ${server.version}: a replica that is delayed on purpose`, () => {
    it('receives at once and applies later, also after a restart and from a new leader, until its tag is taken away', () =>
      onStage(harness, 3, async (stage) => {
        const first = await stage.build(1);
        const [second, late] = [stage.node(2), stage.node(3)];
        await stage.setRule(first, ackRule([second.id], 1));
        const client = await stage.connect(first);
        assert.equal(await client.write(1), 'acknowledged');
        const { position: written } = await stage.until(first, 'primary');
        await stage.until(late, 'replica', ({ replayed }) => contains(replayed, written));
        const keep = (delayMs = hourMs) => late.engine().maintain(delayed(stage, late, delayMs));
        await keep();
        assert.equal(await delayOf(late), '3600');
        assert.equal(await client.write(2), 'acknowledged');
        await received(stage, late, first);
        await eventually('the cause', async () => {
          await keep();
          const { warnings } = (await late.engine().observe()).details;
          return warnings.some((text) => text.includes('delayed on purpose by 3600 s')) ? true : null;
        });

        await late.kill();
        await stage.until(late, 'stopped');
        await stage.run(late, { kind: 'start', end: KEEP_END });
        await stage.until(late, 'replica', ({ position }) => position !== null);
        const follow = { kind: 'follow', upstream: first.id, epoch: epoch(1) } as const;
        await late.engine().execute(follow, delayed(stage, late, hourMs));
        await received(stage, late, first);

        await stage.run(first, { kind: 'stop', mode: 'handover' });
        await stage.run(second, { kind: 'seal', epoch: stage.nextEpoch() });
        await stage.until(first, 'stopped');
        await stage.promote(second, ALONE);
        await stage.run(late, { kind: 'seal', epoch: stage.nextEpoch() });
        await stage.until(late, 'replica', ({ upstream }) => upstream === null);
        const context = delayed(stage, late, hourMs);
        await late.engine().execute({ kind: 'follow', upstream: second.id, epoch: epoch(9) }, context);
        assert.equal(await (await stage.connect(second)).write(3), 'acknowledged');
        await received(stage, late, second);
        assert.deepEqual(await (await stage.connect(late)).read(), [1], 'nothing was applied early');

        await keep(0);
        assert.equal(await delayOf(late), '0');
        await eventually('it is applied', async () => {
          await keep(0);
          const numbers = await (await stage.connect(late)).read();
          return numbers.length === 3 ? true : null;
        });
      }));
  });
}

/** What the agent would say of the member's tags. */
function delayed(stage: Stage, node: ConformanceNode, delayMs: number): ClusterContext {
  const context = stage.context(node);
  const self = context.members.get(node.id);
  assert(self !== undefined);
  const members = new Map(context.members).set(node.id, { ...self, tags: { ...DEFAULT_TAGS, delayMs } });
  return { ...context, members, acknowledges: 'no' };
}

/** Waits until it has received everything that its leader has now, applied or not. */
async function received(stage: Stage, node: ConformanceNode, leader: ConformanceNode): Promise<void> {
  if (!isMariadb(node)) {
    const { position: wanted } = await stage.until(leader, 'primary');
    await stage.until(node, 'replica', ({ position }) => position !== null && contains(position, wanted));
    return;
  }
  const [wanted] = await nodeOf(leader).ask('select @@global.gtid_binlog_pos as position');
  await eventually('it is received', async () => {
    const [row] = await nodeOf(node).ask('show all slaves status');
    return row?.Gtid_IO_Pos === wanted?.position ? true : null;
  });
}

const isMariadb = (node: ConformanceNode): boolean => nodeOf(node).input.binaries.baseDir.includes('mariadb');

async function delayOf(node: ConformanceNode): Promise<string> {
  const query = nodeOf(node).input.binaries.baseDir.includes('mariadb')
    ? 'show all slaves status'
    : 'show replica status';
  const [row] = await nodeOf(node).ask(query);
  return String(row?.SQL_Delay);
}
