import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALONE, contains, KEEP_END, ms, relation, timelineOf } from '@understudy/core';
import { type ConformanceNode, eventually, monotonicMs, onStage } from '@understudy/engine/conformance';
import { childrenOf } from '@understudy/engine/host';
import { Gate } from './gate.ts';
import { postgresHarness, serversOf } from './harness.ts';
import { sql, withClient } from './sql.ts';

// What a replica holds is more than what it has replayed. These tests stop the replay in several ways, and look whether the
// position is right, or withheld, but never too small (C17, C19, P7).
const servers = await serversOf([15, 17, 18]);

for (const server of servers) {
  const harness = postgresHarness(server);
  describe(`PostgreSQL ${server.major}: positions while replay stands still`, { concurrency: 2 }, () => {
    it('counts what was received and not replayed; withholds it after a restart until the log is read', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await sql(replica, 'select pg_wal_replay_pause()');
        await write(leader, 1, 20);
        const { position: end } = await stage.until(leader, 'primary');
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        const sealed = await stage.until(replica, 'replica');
        assert(sealed.position !== null && contains(sealed.position, end), 'received counts');
        assert(!contains(sealed.replayed, end), 'and it is not replayed');
        await replica.kill();
        await stage.until(replica, 'stopped');
        await stage.run(replica, { kind: 'start', end: KEEP_END });
        const again = await stage.position(replica);
        assert.equal(relation(again, sealed.position), 'equal', 'after reading the log to its end, the same position');
      }));

    it('withholds the position while a restarted replica still has log to read', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const delayed = { recovery_min_apply_delay: '1h' };
        await write(leader, 1, 5);
        await replica.engine().maintain({ ...stage.context(replica), parameters: delayed });
        await eventually('the delay', async () => {
          const rows = await sql(replica, 'show recovery_min_apply_delay');
          return rows[0]?.recovery_min_apply_delay === '1h' ? true : null;
        });
        await write(leader, 6, 20);
        const { position: end } = await stage.until(leader, 'primary');
        await replica.kill();
        await stage.until(replica, 'stopped');
        await replica
          .engine()
          .execute({ kind: 'start', end: KEEP_END }, { ...stage.context(replica), parameters: delayed });
        const state = await stage.until(replica, 'replica');
        assert.equal(state.position, null, 'unknown is not the same as little');
        await replica.engine().maintain({ ...stage.context(replica), parameters: {} });
        assert(contains(await stage.position(replica), end), 'and all of it is there in the end');
      }));

    it('counts what was received on a new timeline while the old one is still being replayed', () =>
      onStage(harness, 3, async (stage) => {
        const leader = await stage.build(1);
        const [second, third] = [stage.node(2), stage.node(3)];
        await stage.run(leader, { kind: 'stop', mode: 'handover' });
        await stage.until(leader, 'stopped');
        for (const node of [second, third]) await stage.run(node, { kind: 'seal', epoch: stage.nextEpoch() });
        await stage.position(third);
        const timeline = await stage.promote(second, ALONE);
        // The receiver asks for the new timeline; before it gets any of it, the startup process is frozen.
        const gate = await Gate.before(second, `TIMELINE ${timeline}`);
        const context = stage.context(third);
        const behindGate = context.members.get(second.id);
        assert(behindGate !== undefined);
        const members = new Map([...context.members, [second.id, { ...behindGate, port: gate.port }]]);
        const follow = { kind: 'follow', upstream: second.id, epoch: stage.nextEpoch() } as const;
        await third.engine().execute(follow, { ...context, members });
        await gate.reached;
        const startup = await childOf(third, /startup/);
        process.kill(startup, 'SIGSTOP');
        gate.open();
        await stage.until(third, 'replica', ({ receiver }) => receiver.kind === 'streaming');
        await write(second, 1, 20);
        const { position: end } = await stage.until(second, 'primary');
        const streaming = await stage.until(
          third,
          'replica',
          ({ position }) => position !== null && contains(position, end),
        );
        assert.notEqual(timelineOf(streaming.replayed), timeline, 'replay is still on the old timeline');
        await stage.run(third, { kind: 'seal', epoch: stage.nextEpoch() });
        const sealed = await stage.position(third);
        assert(contains(sealed, end), 'also when the receiver has gone');
        assert.equal(timelineOf(sealed), timeline);
        process.kill(startup, 'SIGCONT');
        await stage.until(third, 'replica', ({ replayed }) => contains(replayed, end));
        gate.close();
      }));

    it('a promotion that has much to replay goes on as a job, and can be fenced meanwhile', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const startup = await childOf(replica, /startup/);
        await stage.run(leader, { kind: 'stop', mode: 'fence' });
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        const timeline = (timelineOf(await stage.position(replica)) ?? 0) + 1;
        process.kill(startup, 'SIGSTOP');
        const notAfter = ms(monotonicMs() + 10_000);
        await stage.run(replica, { kind: 'promote', epoch: stage.nextEpoch(), timeline, rule: ALONE, notAfter });
        assert.equal(replica.engine().job()?.kind, 'promote');
        assert.equal((await stage.state(replica)).kind, 'replica', 'it is not open yet');
        await stage.run(replica, { kind: 'stop', mode: 'fence' });
        await eventually('the end', async () => ((await stage.state(replica)).kind === 'stopped' ? true : null));
        await eventually('the failure', async () => (replica.engine().job() === null ? true : null));
        replica.engine().takeFailures();
        await stage.startFenced(replica);
        await stage.promote(replica, ALONE, 1);
      }));

    it('seals although the startup process is frozen, and nothing comes back when it thaws', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const startup = await childOf(replica, /startup/);
        process.kill(startup, 'SIGSTOP');
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        const before = await stage.until(replica, 'replica');
        process.kill(startup, 'SIGCONT');
        await stage.run(leader, { kind: 'set-ack-rule', rule: ALONE });
        await write(leader, 1, 5);
        // The startup process has looked at its settings when it replays or waits again.
        await eventually('the startup process waits', async () => {
          const rows = await sql(replica, "select wait_event from pg_stat_activity where backend_type = 'startup'");
          return rows[0]?.wait_event === 'RecoveryRetrieveRetryInterval' ? true : null;
        });
        const after = await stage.until(replica, 'replica', ({ position }) => position !== null);
        assert(after.position !== null && (before.position === null || contains(after.position, before.position)));
        const { position: end } = await stage.until(leader, 'primary');
        assert(!contains(after.position, end), 'nothing was received after the seal');
        assert.deepEqual((await stage.until(leader, 'primary')).replicas, []);
      }));

    it('proves a rule although a sender is frozen in its sleep: it looks at its settings before it counts again', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const sender = await childOf(leader, /walsender understudy_replication/);
        process.kill(sender, 'SIGSTOP');
        await stage.setRule(leader, ALONE);
        process.kill(sender, 'SIGCONT');
        await stage.until(leader, 'primary', ({ replicas }) => replicas.length === 1);
      }));
  });
}

/** Numbers into the suite's table, one commit each. */
async function write(node: ConformanceNode, from: number, to: number): Promise<void> {
  await withClient(node, async (client) => {
    for (let value = from; value <= to; value++) await client.query(`insert into conformance values (${value})`);
  });
}

/** A server process of a node, by its title. */
async function childOf(node: ConformanceNode, title: RegExp): Promise<number> {
  const { details } = await node.engine().observe();
  return eventually(`a process ${title}`, async () => {
    const child = (await childrenOf(details.processId ?? 0)).find((candidate) => title.test(candidate.title));
    return child?.pid ?? null;
  });
}
