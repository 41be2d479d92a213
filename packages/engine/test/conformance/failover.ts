import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ALONE, ackRule, contains, type Position, relation } from '@understudy/core';
import type { ConformanceHarness, ConformanceNode, WriteOutcome } from './harness.ts';
import { eventually, ids, onStage, type Stage } from './steps.ts';
import { assertHolds, Writer } from './writer.ts';

/** Sealing, promoting, acknowledging: what "no acknowledged write is lost" rests on. */
export function failoverTests(harness: ConformanceHarness): void {
  it('copies a database with progress, and a replica acknowledges', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.found();
      const client = await stage.connect(leader);
      assert.equal(await client.write(1), 'acknowledged');
      const replica = stage.node(2);
      await stage.run(replica, { kind: 'clone', from: leader.id });
      await eventually('progress of the copy', async () => {
        const job = replica.engine().job();
        // A copy on a fast disk may be over before it was ever looked at.
        return job === null || (job.kind === 'clone' && (job.progress?.doneBytes ?? 0) > 0) ? 'seen' : null;
      });
      await stage.until(replica, 'stopped');
      await stage.startFenced(replica);
      await stage.follow(replica, leader);
      await stage.setRule(leader, ackRule([replica.id], 1));
      assert.equal(await client.write(2), 'acknowledged');
      const { replicas, position } = await stage.until(leader, 'primary', ({ replicas }) => replicas.length === 1);
      const confirmed = replicas[0]?.confirmed;
      assert(confirmed !== undefined && contains(position, confirmed));
      assert.deepEqual(await (await stage.connect(leader)).read(), [1, 2]);
    }));

  it('seals: afterwards the old leader can acknowledge nothing, and the position is final', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const replicas = [stage.node(2), stage.node(3)];
      const writer = new Writer(await stage.connect(leader), 1);
      await eventually('some writes', async () => (writer.acknowledged.length > 20 ? true : null));
      await Promise.all(replicas.map((replica) => stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() })));
      const sealed = await Promise.all(replicas.map((replica) => stage.position(replica)));
      // Writes that wait now wait for ever; the writer gives up on its first one.
      await writer.stop();
      const late = await stage.connect(leader);
      assert.notEqual(await late.write(1_000_000, 700), 'acknowledged', 'no ack can come any more');
      for (const [index, replica] of replicas.entries()) {
        const now = await stage.position(replica);
        assert(sealed[index] !== undefined && relation(now, sealed[index]) === 'equal', 'nothing arrives any more');
      }
      await assertHolds(stage, replicas, writer.acknowledged);
    }));

  it('opens on the history line it was given, also when numbers are skipped; two openings never share one', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const [second, third] = [stage.node(2), stage.node(3)];
      const client = await stage.connect(leader);
      assert.equal(await client.write(1), 'acknowledged');
      // One of them has acknowledged it; the old leader can follow only somebody who has it too.
      const end = (await stage.until(leader, 'primary')).position;
      const hasAll = ({ position }: { readonly position: Position | null }) =>
        position !== null && contains(position, end);
      for (const replica of [second, third]) await stage.until(replica, 'replica', hasAll);
      await stage.run(leader, { kind: 'stop', mode: 'fence' });
      for (const replica of [second, third]) await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.promote(second, ALONE, 3);
      await stage.promote(third, ALONE, 4);
      const a = (await stage.until(second, 'primary')).position;
      const b = (await stage.until(third, 'primary')).position;
      assert.equal(await (await stage.connect(second)).write(2), 'acknowledged');
      assert.equal(await (await stage.connect(third)).write(3), 'acknowledged');
      const ends = [(await stage.until(second, 'primary')).position, (await stage.until(third, 'primary')).position];
      assert(ends[0] !== undefined && ends[1] !== undefined);
      assert.equal(relation(ends[0], ends[1]), 'diverged');
      assert(contains(ends[0], a) && contains(ends[1], b));
      // A replica of the old history can follow over the skipped numbers.
      await stage.startFenced(leader);
      await stage.follow(leader, second);
    }));

  it('a new leader acknowledges nothing before its ackers have confirmed it', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const [second, third] = [stage.node(2), stage.node(3)];
      await stage.run(leader, { kind: 'stop', mode: 'fence' });
      for (const replica of [second, third]) await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.promote(second, ackRule([third.id], 1));
      const held = (await stage.connect(second)).write(1, 30_000);
      assert.notEqual(await Promise.race([held, connectAndWrite(stage, second, 2)]), 'acknowledged');
      await stage.follow(third, second);
      assert.equal(await held, 'acknowledged');
    }));

  it('who has received nothing since it was copied follows one that has', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const [second, third] = [stage.node(2), stage.node(3)];
      await stage.setRule(leader, ackRule([second.id], 1));
      await stage.run(third, { kind: 'seal', epoch: stage.nextEpoch() });
      assert.equal(await (await stage.connect(leader)).write(1), 'acknowledged');
      await leader.kill();
      await stage.until(leader, 'stopped');
      await stage.run(second, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.promote(second, ackRule([third.id], 1));
      await stage.follow(third, second);
      assert.equal(await (await stage.connect(second)).write(2, 30_000), 'acknowledged');
      const reader = await stage.connect(third);
      await eventually('both rows', async () => ((await reader.read()).length === 2 ? true : null));
    }));

  it('grows, shrinks and empties the set of ackers, each proven', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const replicas = [stage.node(2), stage.node(3)];
      const client = await stage.connect(leader);
      // Where a commit can wait for one replica only, it is the one that is killed below.
      const all =
        (leader.engine().requiredAcksMax ?? 2) >= 2 ? ackRule(ids(replicas), 2) : ackRule([stage.node(3).id], 1);
      await stage.setRule(leader, all);
      assert.equal(await client.write(1), 'acknowledged');
      await stage.node(3).kill();
      await stage.until(stage.node(3), 'stopped');
      const waiting = client.write(2, 20_000);
      const early = await Promise.race([waiting, stage.until(leader, 'primary', isShort).then(() => 'waits')]);
      assert.equal(early, 'waits', 'the other one is not enough');
      await stage.setRule(leader, ackRule([stage.node(2).id], 1));
      assert.equal(await waiting, 'acknowledged', 'the smaller rule lets it through');
      await stage.node(2).kill();
      await stage.until(stage.node(2), 'stopped');
      await stage.setRule(leader, ALONE);
      assert.equal(await client.write(3), 'acknowledged');
      await stage.run(leader, { kind: 'set-ack-rule', rule: ackRule([stage.node(2).id], 1) });
      const held = client.write(4, 30_000);
      const tooEarly = await Promise.race([held, connectAndWrite(stage, leader, 5)]);
      assert.notEqual(tooEarly, 'acknowledged', 'from the moment the rule is proven, nothing passes without it');
      await stage.startFenced(stage.node(2));
      await stage.follow(stage.node(2), leader);
      assert.equal(await held, 'acknowledged');
    }));

  it('loses nothing that was acknowledged when the leader is killed under load', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const replicas = [stage.node(2), stage.node(3)];
      const writers: Writer[] = [];
      for (let n = 1; n <= 4; n++) writers.push(new Writer(await stage.connect(leader), n * 1_000_000));
      await eventually('some writes', async () => (writers.every((w) => w.acknowledged.length > 20) ? true : null));
      await leader.kill();
      await stage.until(leader, 'stopped');
      await Promise.all(replicas.map((replica) => stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() })));
      await Promise.all(writers.map((writer) => writer.stop()));
      await assertHolds(
        stage,
        replicas,
        writers.flatMap((writer) => writer.acknowledged),
      );
    }));

  it('brings a node back whose history diverged, and keeps what only it had', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      const replica = stage.node(2);
      await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.setRule(leader, ALONE);
      const doomed = await stage.connect(leader);
      for (let value = 1; value <= 10; value++) assert.equal(await doomed.write(value), 'acknowledged');
      await leader.kill();
      await stage.until(leader, 'stopped');
      await stage.promote(replica, ALONE);
      await stage.run(replica, { kind: 'provision' });
      await stage.until(replica, 'primary');
      assert.equal(await (await stage.connect(replica)).write(100), 'acknowledged');
      const own = await stage.startFenced(leader);
      const { position } = await stage.until(replica, 'primary');
      assert.equal(relation(own, position), 'diverged');
      const kind = leader.engine().canRewind() === 'yes' ? 'rewind' : 'clone';
      await stage.run(leader, { kind, from: replica.id });
      // A copy is left stopped; a rewound server runs already, as it becomes consistent only by following.
      await eventually('the end of the work', async () => (leader.engine().job() === null ? true : null));
      if ((await stage.state(leader)).kind === 'stopped') await stage.startFenced(leader);
      assert.equal((await leader.keptAside()).length, 1, 'the lost writes can still be looked at');
      assert.deepEqual(await historiesOf(leader), ['unproven'], 'it stays until somebody says otherwise');
      await stage.follow(leader, replica);
      await stage.setRule(replica, ackRule([leader.id], 1));
      assert.equal(await (await stage.connect(replica)).write(101), 'acknowledged');
      assert.deepEqual(await (await stage.connect(replica)).read(), [100, 101]);
    }));

  it('copies a running replica anew and keeps the old copy aside', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      const replica = stage.node(2);
      await stage.setRule(leader, ALONE);
      await stage.run(replica, { kind: 'clone', from: leader.id });
      await stage.until(replica, 'stopped');
      assert.equal((await replica.keptAside()).length, 1);
      await eventually('the word that the leader holds all of it', async () =>
        (await historiesOf(replica)).join() === 'contained' ? true : null,
      );
      await stage.startFenced(replica);
      await stage.follow(replica, leader);
    }));
}

/** Of what a node keeps of replaced data: whether all of it is elsewhere. */
const historiesOf = async (node: ConformanceNode) => (await node.engine().listKept()).map(({ history }) => history);

/** A write by a client of its own that gives up after a moment. */
async function connectAndWrite(stage: Stage, node: ConformanceNode, value: number): Promise<WriteOutcome> {
  return (await stage.connect(node)).write(value, 500);
}

/** Whether fewer replicas are connected than the suite's clusters have. */
function isShort(state: { readonly replicas: readonly unknown[] }): boolean {
  return state.replicas.length < 2;
}
