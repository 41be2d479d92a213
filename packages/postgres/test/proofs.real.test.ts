import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ackRule } from '@understudy/core';
import { type ConformanceNode, eventually, onStage } from '@understudy/engine/conformance';
import { standbyName } from '../src/names.ts';
import { childrenOf } from '../src/process/proc.ts';
import { postgresHarness, serversOf } from './harness.ts';
import { sql } from './sql.ts';
import { Stranger } from './stranger.ts';

// What somebody does to a server behind the agent's back must never become a part of a proof: neither of a seal nor of a rule.
const [server] = await serversOf([17, 15]);
assert(server !== undefined, 'no PostgreSQL was found: npm run servers -- get');
const harness = postgresHarness(server);

describe('who may acknowledge', () => {
  it('only the members that the rule names, whatever another connection calls itself', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const client = await leader.connect();
      const receivers = [await receiverOf(stage.node(2)), await receiverOf(stage.node(3))];
      for (const pid of receivers) process.kill(pid, 'SIGSTOP');
      const strangers: Stranger[] = [];
      for (const name of ['n2', 'N3', 'understudy nobody', standbyName('another', stage.node(2).id)]) {
        strangers.push(await Stranger.join(leader, name));
      }
      const waiting = client.write(1, 60_000);
      for (let n = 0; n < 20; n++) for (const stranger of strangers) stranger.confirm();
      await eventually('a commit that waits', async () => {
        const rows = await sql(leader, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'");
        return rows[0]?.count === '1' ? true : null;
      });
      const all = [...(await stage.until(leader, 'primary')).replicas];
      assert.deepEqual(all.map(({ member }) => member).sort(), ['n2', 'n3'], 'and none of them is taken for a member');
      assert.notEqual((await stage.until(leader, 'primary')).acks.running, null, 'so the rule stays proven');
      // Whoever copies a name from the server's own list is counted by it: that is seen, said and ended.
      const thief = await Stranger.join(leader, standbyName('conformance', stage.node(2).id).toUpperCase());
      thief.confirm();
      assert.equal(await waiting, 'acknowledged', 'the server counts it, which nobody can keep it from');
      const { acks } = await stage.until(leader, 'primary');
      assert.equal(acks.running, null);
      assert.match(
        acks.unproven ?? '',
        /not a member: process \d+, role postgres from 127\.0\.0\.1, application_name "N2\./,
      );
      const rule = ackRule([stage.node(2).id, stage.node(3).id], 1);
      await stage.run(leader, { kind: 'set-ack-rule', rule });
      await thief.ended;
      const after = (await stage.until(leader, 'primary')).acks;
      assert.equal(after.running, null, 'no member holds what it let through');
      for (const pid of receivers) process.kill(pid, 'SIGCONT');
      const proven = await stage.until(leader, 'primary', (state) => state.acks.running !== null);
      assert.deepEqual(proven.acks.running, rule);
      await leader.engine().maintain(stage.context(leader));
      assert.match((await leader.engine().observe()).details.warnings.join('\n'), /application_name "N2\./);
      for (const stranger of strangers) stranger.leave();
      await client.close();
    }));
});

async function receiverOf(node: ConformanceNode): Promise<number> {
  return childOf(node, /walreceiver/);
}

/** A server process of a node, by its title. */
async function childOf(node: ConformanceNode, title: RegExp): Promise<number> {
  const { details } = await node.engine().observe();
  return eventually(`a process ${title}`, async () => {
    const child = (await childrenOf(details.processId ?? 0)).find((candidate) => title.test(candidate.title));
    return child?.pid ?? null;
  });
}
