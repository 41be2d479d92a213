import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ALONE, ackRule, contains, KEEP_END, ms, relation } from '@understudy/core';
import { EngineError } from '../../src/index.ts';
import type { ConformanceHarness } from './harness.ts';
import { eventually, monotonicMs, onStage } from './steps.ts';

/** From nothing to an open leader, and what happens to the process of a server. */
export function lifecycleTests(harness: ConformanceHarness): void {
  it('makes a new database, starts it fenced, opens it for writes', () =>
    onStage(harness, 1, async (stage) => {
      const node = stage.node(1);
      assert.equal((await stage.state(node)).kind, 'absent');
      await stage.run(node, { kind: 'initialize' });
      const made = await stage.until(node, 'stopped');
      assert.equal(made.shutdown, 'clean');
      const start = await stage.startFenced(node);
      assert(made.position !== null && relation(made.position, start) === 'equal', 'a clean stop says the exact end');
      const client = await stage.connect(node);
      assert.notEqual(await client.write(0), 'acknowledged', 'a fenced server takes no writes');
      await stage.promote(node, ALONE);
      await stage.run(node, { kind: 'provision' });
      await stage.until(node, 'primary');
      await stage.cluster.createTable(node);
      assert.equal(await (await stage.connect(node)).write(1), 'acknowledged');
      assert.deepEqual((await stage.until(node, 'primary')).acks.running, ALONE);
    }));

  it('carries out commands a second time without effect', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      const replica = stage.node(2);
      const rule = ackRule([replica.id], 1);
      const before = await leader.engine().observe();
      await stage.run(leader, { kind: 'start', end: KEEP_END });
      await stage.run(leader, { kind: 'set-ack-rule', rule });
      await stage.run(leader, { kind: 'provision' });
      await stage.until(leader, 'primary');
      await stage.follow(replica, leader);
      await stage.follow(replica, leader);
      await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.run(replica, { kind: 'start', end: KEEP_END });
      const state = await stage.until(replica, 'replica');
      assert.deepEqual([state.upstream, state.receiver], [null, { kind: 'none' }]);
      assert.equal((await leader.engine().observe()).details.processId, before.details.processId);
      await stage.run(leader, { kind: 'stop', mode: 'fence' });
      await stage.run(leader, { kind: 'stop', mode: 'fence' });
      await stage.run(leader, { kind: 'stop', mode: 'orderly' });
      await stage.until(leader, 'stopped');
    }));

  it('notices a killed server at once, and starts it again with everything it had', () =>
    onStage(harness, 1, async (stage) => {
      const node = await stage.found();
      const client = await stage.connect(node);
      for (let value = 1; value <= 20; value++) assert.equal(await client.write(value), 'acknowledged');
      const { position } = await stage.until(node, 'primary');
      const noticed = new Promise<void>((resolve) => node.engine().onChange(resolve));
      await node.kill();
      await noticed;
      assert.equal((await stage.until(node, 'stopped')).shutdown, 'crashed');
      const recovered = await stage.startFenced(node);
      assert(contains(recovered, position), 'nothing durable is lost');
      assert.equal((await stage.state(node)).kind, 'replica', 'a former leader starts fenced');
      await stage.promote(node, ALONE);
      const again = await stage.connect(node);
      assert.equal(await again.write(21), 'acknowledged');
      assert.equal((await again.read()).length, 21);
    }));

  it('takes over a running server from an agent that is gone, without touching it', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      const replica = stage.node(2);
      const before = (await leader.engine().observe()).details.processId;
      const client = await stage.connect(leader);
      for (const node of [leader, replica]) await node.reopen();
      assert.equal(await client.write(1), 'acknowledged', 'connections of clients live on');
      const state = await stage.until(leader, 'primary');
      assert.equal((await leader.engine().observe()).details.processId, before);
      assert.equal(state.acks.running, null, 'what an earlier agent proved is proven again');
      assert.equal((await stage.until(replica, 'replica')).upstream, leader.id);
      await stage.setRule(leader, ackRule([replica.id], 1));
      const noticed = new Promise<void>((resolve) => leader.engine().onChange(resolve));
      await leader.kill();
      await noticed;
      await stage.until(leader, 'stopped');
    }));

  it('sees a frozen server, and can still fence it', () =>
    onStage(harness, 1, async (stage) => {
      const node = await stage.found();
      await node.freeze();
      const state = await stage.until(node, 'unresponsive');
      assert.equal(state.was, 'primary');
      await stage.run(node, { kind: 'stop', mode: 'fence' });
      await stage.until(node, 'stopped');
    }));

  it('refuses a promotion whose decision is too old, and one onto a history line that is taken', () =>
    onStage(harness, 1, async (stage) => {
      const node = stage.node(1);
      await stage.run(node, { kind: 'initialize' });
      await stage.until(node, 'stopped');
      await stage.startFenced(node);
      const promote = { kind: 'promote', epoch: stage.nextEpoch(), timeline: 2, rule: ALONE } as const;
      await assert.rejects(
        stage.run(node, { ...promote, notAfter: ms(monotonicMs() - 1) }),
        (error: unknown) => error instanceof EngineError && error.code === 'ENGINE_DECISION_STALE',
      );
      await assert.rejects(
        stage.run(node, { ...promote, timeline: 1, notAfter: ms(monotonicMs() + 10_000) }),
        (error: unknown) => error instanceof EngineError && error.code === 'ENGINE_PROMOTE_FAILED',
      );
      await stage.until(node, 'replica');
      await stage.promote(node, ALONE);
    }));

  for (const damage of harness.damages) {
    it(`touches nothing in a data directory that it cannot vouch for: ${damage}`, () =>
      onStage(harness, 1, async (stage) => {
        const node = stage.node(1);
        await stage.run(node, { kind: 'initialize' });
        await stage.until(node, 'stopped');
        await node.damage(damage);
        const state = await stage.state(node);
        assert(state.kind === 'refused' || state.kind === 'incomplete', `${damage} is seen, not ${state.kind}`);
        if (state.kind === 'refused') assert.match(state.problem, /\S{3,}.*\. \S+/s, 'cause and next step');
        await stage.run(node, { kind: 'start', end: KEEP_END }).catch(() => undefined);
        const failure = await eventually('a failed start', async () => node.engine().takeFailures()[0] ?? null);
        assert.equal(failure.error.code, 'ENGINE_DATA_REFUSED');
        assert.deepEqual(await stage.state(node), state, 'and it is still as it was');
      }));
  }

  it('stops in order for a handover: every replica gets the log to its very end', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const client = await stage.connect(leader);
      for (let value = 1; value <= 50; value++) assert.equal(await client.write(value), 'acknowledged');
      await stage.run(leader, { kind: 'stop', mode: 'handover' });
      const { shutdown, position } = await stage.until(leader, 'stopped');
      assert.equal(shutdown, 'clean');
      assert(position !== null, 'its end is known');
      for (const replica of [stage.node(2), stage.node(3)]) {
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        assert.equal(relation(await stage.position(replica), position), 'equal', `${replica.id} has it all`);
      }
      await stage.promote(stage.node(3), ackRule([stage.node(2).id], 1));
      await stage.follow(stage.node(2), stage.node(3));
      await stage.startFenced(leader);
      await stage.follow(leader, stage.node(3));
      assert.equal((await (await stage.connect(leader)).read()).length, 50);
    }));
}
