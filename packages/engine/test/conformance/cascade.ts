import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ackRule, contains, timelineOf } from '@understudy/core';
import type { ConformanceHarness, ConformanceNode } from './harness.ts';
import { eventually, ids, onStage, print, type Stage } from './steps.ts';
import { Writer } from './writer.ts';

/** A replica that feeds another one. */
export function cascadeTests(harness: ConformanceHarness): void {
  it('a replica goes below another one and back while writes go on, at exactly its own position', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const [middle, lowest] = [stage.node(2), stage.node(3)];
      await stage.setRule(leader, ackRule([middle.id], 1));
      const writer = new Writer(await stage.connect(leader), 1);
      await some(writer, 20);
      await goBelow(stage, lowest, middle);
      await some(writer, 20);
      await goBelow(stage, lowest, leader);
      await some(writer, 20);
      await goBelow(stage, lowest, middle);
      await some(writer, 20);
      await writer.stop();
      await holdsAll(stage, lowest, writer.acknowledged);
    }));

  it('a replica that holds all that waits for an acknowledgement takes over as the acknowledger, and commits go on', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const [acker, other] = [stage.node(2), stage.node(3)];
      await stage.setRule(leader, ackRule([acker.id], 1));
      await stage.run(acker, { kind: 'seal', epoch: stage.nextEpoch() });
      const clients = await Promise.all([1, 2, 3].map(() => stage.connect(leader)));
      // Some wait in the log, the others to get into it; the other replica receives what is there, and has no say yet.
      const waiting = clients.map((client, index) => client.write(index + 1, 60_000).catch(() => 'unknown' as const));
      await eventually(`${other.id} has what waits`, async () => {
        const state = await stage.state(leader);
        const [end, before] = [await stage.position(other), await stage.position(acker)];
        return state.kind === 'primary' && contains(end, state.position) && !contains(before, end) ? true : null;
      });
      await stage.run(leader, { kind: 'set-ack-rule', rule: ackRule([other.id], 1) });
      const later = (await stage.connect(leader)).write(100, 60_000);
      assert.equal(await later, 'acknowledged');
      const outcomes = await Promise.all(waiting);
      const acknowledged = outcomes.flatMap((outcome, index) => (outcome === 'acknowledged' ? [index + 1] : []));
      await holdsAll(stage, other, [...acknowledged, 100]);
    }));

  it('what is below an intermediate does not acknowledge, and follows it to the history line of another leader', () =>
    onStage(harness, 4, async (stage) => {
      const leader = await stage.build(1);
      const [middle, lowest, next] = [stage.node(2), stage.node(3), stage.node(4)];
      await stage.setRule(leader, ackRule(ids([middle, next]), 1));
      await goBelow(stage, lowest, middle);
      const writer = new Writer(await stage.connect(leader), 1);
      await some(writer, 20);
      const { replicas } = await stage.until(leader, 'primary');
      assert.deepEqual(replicas.map(({ member }) => member).toSorted(), [middle.id, next.id]);
      await leader.kill();
      await writer.stop();
      await stage.until(leader, 'stopped');
      await Promise.all([middle, next].map((node) => stage.run(node, { kind: 'seal', epoch: stage.nextEpoch() })));
      const held = await Promise.all([middle, next].map((node) => stage.position(node)));
      // Nobody has sealed the lowest one: it goes on below the intermediate, whatever that one does.
      const isNextFurther = held[0] !== undefined && held[1] !== undefined && contains(held[1], held[0]);
      const [chosen, other] = isNextFurther ? [next, middle] : [middle, next];
      const timeline = await stage.promote(chosen, ackRule([other.id], 1));
      await stage.follow(other, chosen);
      const later = new Writer(await stage.connect(chosen), 1_000_000);
      await some(later, 20);
      await later.stop();
      await holdsAll(stage, lowest, [...writer.acknowledged, ...later.acknowledged]);
      await eventually('the new line', async () =>
        timelineOf(await stage.position(lowest)) === timeline ? true : null,
      );
      // And where it is under the new leader, its acknowledgement counts as soon as the rule names it.
      if (chosen !== middle) await goBelow(stage, lowest, chosen);
      await stage.run(other, { kind: 'stop', mode: 'fence' });
      await stage.setRule(chosen, ackRule([lowest.id], 1));
      assert.equal(await (await stage.connect(chosen)).write(2_000_000), 'acknowledged');
    }));
}

/** As an agent does it: cut first, so that its end stands still, then connected where everything up to there has been applied. */
async function goBelow(stage: Stage, node: ConformanceNode, upstream: ConformanceNode): Promise<void> {
  await stage.run(node, { kind: 'seal', epoch: stage.nextEpoch() });
  const own = await stage.position(node);
  await eventually(`${upstream.id} has what ${node.id} holds`, async () => {
    const state = await stage.state(upstream);
    const end = state.kind === 'replica' ? state.replayed : state.kind === 'primary' ? state.position : null;
    return end !== null && contains(end, own) ? true : null;
  });
  // Every agent does so every second: an upstream may have to keep something ready for each member.
  await upstream.engine().maintain(stage.context(upstream));
  await stage.follow(node, upstream);
}

async function some(writer: Writer, count: number): Promise<void> {
  const before = writer.acknowledged.length;
  await eventually('some writes', async () => (writer.acknowledged.length > before + count ? true : null));
}

async function holdsAll(stage: Stage, node: ConformanceNode, values: readonly number[]): Promise<void> {
  const client = await stage.connect(node);
  let missing: readonly number[] = [];
  const look = async () => {
    const found = new Set(await client.read());
    missing = values.filter((value) => !found.has(value));
    return missing.length === 0 ? true : null;
  };
  await eventually(
    `everything on ${node.id}`,
    look,
    async () =>
      `lacks ${missing.length} of ${values.length}: ${missing.slice(0, 5)}, ${print(await Promise.all(stage.cluster.nodes.map((each) => stage.state(each))))}`,
  );
}
