import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ALONE, ackRule, epoch, ms, type Receiver, relation } from '@understudy/core';
import { type ClusterContext, EngineError, loginKey, type OwnLogins } from '@understudy/engine';
import {
  type ConformanceNode,
  eventually,
  ids,
  monotonicMs,
  onStage,
  type Stage,
} from '@understudy/engine/conformance';
import { ownAccount } from '../src/names.ts';
import { mysqlProcesses as serverProcesses } from '../src/process/server-process.ts';
import { ServerSession } from '../src/sql/session.ts';
import { mysqlHarness, nodeOf, testSecrets } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

/** What only binlog engines can get wrong. The rest is in the conformance suite. */
const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
for (const server of await testServers(testServerNames.filter((name) => chosen === undefined || name === chosen))) {
  const harness = mysqlHarness(server);
  describe(`${server.flavour} ${server.version}: replication`, { concurrency: 2 }, () => {
    it('keeps what it has not applied when it connects with its other account', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const before = await withApplierHeld(replica, async () => {
          const client = await stage.connect(leader);
          for (let value = 1; value <= 20; value++) assert.equal(await client.write(value), 'acknowledged');
          const held = await stage.position(replica);
          const change = follow(stage, replica, leader, 'no');
          // MariaDB would throw its relay log away, so there it is refused until all is applied.
          if (server.flavour === 'mysql') await change;
          else await assert.rejects(change, isCode('ENGINE_BUSY'));
          assert.equal(relation(await stage.position(replica), held), 'equal', 'nothing of it is lost');
          return held;
        });
        await eventually('it is connected again', async () => {
          await follow(stage, replica, leader, 'no').catch((error: unknown) => {
            if (!isCode('ENGINE_BUSY')(error)) throw error;
          });
          const state = await stage.state(replica);
          return state.kind === 'replica' && state.receiver.kind === 'streaming' ? true : null;
        });
        await stage.until(replica, 'replica', ({ replayed }) =>
          ['equal', 'ahead'].includes(relation(replayed, before)),
        );
      }));

    it('stops waiting when nobody has to acknowledge any more, also with a statement about accounts that waits', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        // It has its connections before anybody is kept from logging in.
        await leader.engine().maintain(stage.context(leader));
        const watch = await admin(leader);
        try {
          await replica.freeze();
          const made = nodeOf(leader).sql(["create user 'late'@'%' identified by 'password of tests'"]);
          await eventually('it waits', async () => {
            const [row] = await watch.query("show global status like 'Rpl_semi_sync_%_wait_sessions'");
            return Number(row?.Value) > 0 ? true : null;
          });
          await leader.engine().execute({ kind: 'set-ack-rule', rule: ALONE }, stage.context(leader));
          await made;
          const { state } = await leader.engine().observe();
          assert.equal(state.kind === 'primary' ? state.acks.running?.required : null, 0);
        } finally {
          await watch.end();
        }
      }));

    it('frees a commit that its replica received without being asked for an acknowledgement', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await stage.setRule(leader, ALONE);
        const start = await stage.position(replica);
        // The leader asks before the replica knows that it is asked.
        const rule = ackRule([replica.id], 1);
        await leader.engine().execute({ kind: 'set-ack-rule', rule }, stage.context(leader));
        const held = (await stage.connect(leader)).write(1, 30_000);
        await stage.until(
          replica,
          'replica',
          ({ position }) => position !== null && relation(position, start) === 'ahead',
        );
        await stage.setRule(leader, rule);
        const watch = stage.until(leader, 'primary', () => answered !== null);
        let answered: string | null = null;
        answered = await held;
        await watch;
        assert.equal(answered, 'acknowledged');
      }));

    it('counts nobody whom the rule does not name, whatever that replica does', () =>
      onStage(harness, 3, async (stage) => {
        const leader = await stage.build(1);
        const [named, other] = [stage.node(2), stage.node(3)];
        const client = await stage.connect(leader);
        assert.equal(await client.write(1), 'acknowledged');
        // The other one is not told: it goes on asking to acknowledge.
        const rule = ackRule([named.id], 1);
        await leader.engine().execute({ kind: 'set-ack-rule', rule }, stage.context(leader));
        assert.equal(await client.write(2), 'acknowledged');
        await named.kill();
        await stage.until(named, 'stopped');
        assert.notEqual(await client.write(3, 1500), 'acknowledged');
        await stage.until(other, 'replica', ({ receiver }) => receiver.kind === 'broken');
        const state = await stage.until(leader, 'primary');
        assert.deepEqual(state.acks.running, rule);
        await stage.setRule(leader, ackRule(ids([other]), 1));
        assert.equal(await (await stage.connect(leader)).write(4, 30_000), 'acknowledged');
      }));

    it('acknowledges on while it changes its login over a backlog', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const password = 'a password of the member';
        const verifier = (await leader.engine().verifierOf?.(password)) ?? '';
        const at = (node: ConformanceNode): ClusterContext => {
          const context = stage.context(node);
          const member = context.members.get(replica.id);
          assert(member !== undefined);
          const logins = { own: [{ id: '1', slot: 'a', verifier }], shared: 'in-use' } as const;
          return { ...context, members: new Map(context.members).set(replica.id, { ...member, logins }) };
        };
        await leader.engine().maintain(at(leader));
        const logins: OwnLogins = { passwords: [{ slot: 'a', password }], at: () => 'a' };
        const look = async (): Promise<unknown> => {
          await replica
            .engine()
            .maintain({ ...at(replica), logins })
            .catch(() => undefined);
          return (await replica.engine().observe()).details.logins?.streamsAs ?? null;
        };
        const client = await stage.connect(leader);
        await withApplierHeld(replica, async () => {
          for (let value = 1; value <= 5; value++) assert.equal(await client.write(value), 'acknowledged');
          for (let round = 0; round < 2; round++) await look();
          assert.equal(await client.write(6), 'acknowledged', 'nothing is applied meanwhile');
        });
        await eventually('changed', async () => ((await look()) === 'a' ? true : null));
        assert.equal(await client.write(7), 'acknowledged');
      }));

    it('gives a member’s own account what a failed statement left out, and does not say before that it takes it', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const { id } = stage.node(2);
        await stage.setRule(leader, ackRule([id], 1));
        const verifier = (await leader.engine().verifierOf?.('a password of the member')) ?? '';
        const context = stage.context(leader);
        const member = context.members.get(id);
        assert(member !== undefined);
        const logins = { own: [{ id: '1', slot: 'a', verifier }], shared: 'in-use' } as const;
        const members = new Map(context.members).set(id, { ...member, logins });
        const look = async (): Promise<readonly string[]> => {
          await leader.engine().maintain({ ...context, members });
          return (await leader.engine().observe()).details.logins?.accepted ?? [];
        };
        const isTaken = async (): Promise<true | null> => ((await look()).includes(loginKey(id, '1')) ? true : null);
        await eventually('taken', isTaken);
        const user = `${ownAccount(id, 'a')}@'%'`;
        for (const damage of [`revoke replication slave on *.* from ${user}`, `alter user ${user} account lock`]) {
          await nodeOf(leader).sql(['set session sql_log_bin = 0', damage]);
          await eventually(`taken after: ${damage}`, isTaken);
          const shown = await nodeOf(leader).ask(`show grants for ${user}`);
          assert.match(JSON.stringify(shown), /REPLICATION SLAVE/i);
          assert.doesNotMatch(JSON.stringify(await nodeOf(leader).ask(`show create user ${user}`)), /ACCOUNT LOCK/);
        }
      }));

    it('knocks again as soon as it is told that a leader which turned it away has changed its rule', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await stage.setRule(leader, ALONE);
        await follow(stage, replica, leader, 'yes');
        await eventually('it is turned away', async () => {
          const state = await stage.state(replica);
          const receiver = state.kind === 'replica' ? state.receiver : null;
          return receiver?.kind === 'broken' && receiver.cause === 'refused' ? true : null;
        });
        const waiting = await receiverThread(replica);
        await replica.engine().maintain({ ...stage.context(replica), acknowledges: 'yes' });
        // One that is left to itself waits for a second, and is the same thread then.
        assert.notEqual(await receiverThread(replica), waiting);
        const rule = ackRule([replica.id], 1);
        await leader.engine().execute({ kind: 'set-ack-rule', rule }, stage.context(leader));
        const connected = await eventually('it is connected', async () => {
          await replica.engine().maintain({ ...stage.context(replica), acknowledges: 'yes' });
          const state = await stage.state(replica);
          return state.kind === 'replica' && state.receiver.kind === 'streaming' ? receiverThread(replica) : null;
        });
        await replica.engine().maintain({ ...stage.context(replica), acknowledges: 'yes' });
        assert.equal(await receiverThread(replica), connected, 'a stream is left alone');
        assert.equal(await (await stage.connect(leader)).write(1, 30_000), 'acknowledged');
        // MariaDB forgets it with each change of the channel.
        if (server.flavour === 'mariadb') {
          assert.equal(Number(await ask(replica, 'Slave_heartbeat_period', 'show all slaves status')), 0.3);
        }
      }));

    it(
      'receives the rows of a transaction as one event, as the relay log is synced after each',
      {
        skip: server.flavour === 'mysql' ? false : 'its log has no such events',
      },
      () =>
        onStage(harness, 2, async (stage) => {
          const leader = await stage.build(1);
          const replica = stage.node(2);
          assert.equal(await (await stage.connect(leader)).write(1), 'acknowledged');
          const file = await ask(replica, 'Relay_Log_File', 'show replica status');
          const session = await admin(replica);
          try {
            const events = await session.query(`show relaylog events in '${file}'`);
            const types = new Set(events.map((event) => event.Event_type));
            assert.ok(types.has('Transaction_payload'), [...types].join(', '));
          } finally {
            await session.end();
          }
        }),
    );

    it('hears an idle leader, measures the silence of a frozen one, and is sealed against it', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await leader.freeze();
        await stage.until(replica, 'replica', ({ receiver }) => silenceOf(receiver) > 1500);
        for (const pid of await serverProcesses(nodeOf(leader).input.dataDir)) process.kill(pid, 'SIGCONT');
        // Nobody writes: it is the heartbeats that are heard.
        await stage.until(
          replica,
          'replica',
          ({ receiver }) => receiver.kind === 'streaming' && receiver.silentMs < 400,
        );
        await leader.freeze();
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        assert.deepEqual((await stage.until(replica, 'replica')).receiver, { kind: 'none' });
      }));

    it('says that the log which a replica needs is gone', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await stage.setRule(leader, ALONE);
        const client = await stage.connect(leader);
        for (let value = 1; value <= 5; value++) assert.equal(await client.write(value), 'acknowledged');
        await purgeLog(leader);
        await follow(stage, replica, leader, 'no');
        await eventually('the cause', async () => {
          await replica.engine().maintain({ ...stage.context(replica), acknowledges: 'no' });
          const state = await stage.state(replica);
          const receiver = state.kind === 'replica' ? state.receiver : null;
          return receiver?.kind === 'broken' && receiver.cause === 'wal-removed' ? true : null;
        });
      }));

    it('opens only when everything that was received is applied', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const timeline = await withApplierHeld(replica, async () => {
          const client = await stage.connect(leader);
          for (let value = 1; value <= 20; value++) assert.equal(await client.write(value), 'acknowledged');
          await leader.kill();
          await stage.until(leader, 'stopped');
          await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
          const notAfter = ms(monotonicMs() + 60_000);
          const command = { kind: 'promote', epoch: epoch(9), timeline: 7, rule: ALONE, notAfter } as const;
          await stage.run(replica, command);
          assert.equal(replica.engine().job()?.kind, 'promote', 'it waits for its applier');
          assert.equal((await stage.state(replica)).kind, 'replica');
          return command.timeline;
        });
        const { position } = await stage.until(replica, 'primary');
        assert(position.kind === 'gtid');
        assert.equal(position.timelines.at(-1), timeline);
        const numbers = await (await stage.connect(replica)).read();
        assert.equal(numbers.length, 20);
      }));
  });
}

const silenceOf = (receiver: Receiver): number => (receiver.kind === 'streaming' ? receiver.silentMs : 0);

const isCode = (code: string) => (error: unknown) => error instanceof EngineError && error.code === code;

/** Follows with or without acknowledging, whatever the stage's rule says. */
async function follow(stage: Stage, node: ConformanceNode, leader: ConformanceNode, acknowledges: 'yes' | 'no') {
  const context = { ...stage.context(node), acknowledges };
  await node.engine().execute({ kind: 'follow', upstream: leader.id, epoch: epoch(1) }, context);
}

function admin(node: ConformanceNode): Promise<ServerSession> {
  const path = join(nodeOf(node).input.runDir, 'mysql.sock');
  const at = { kind: 'socket', path } as const;
  return ServerSession.open({ at, user: 'us_admin', password: testSecrets.admin, tls: null }, 2000);
}

/** The id of the thread that receives, or tries to. */
function receiverThread(node: ConformanceNode): Promise<string> {
  return ask(
    node,
    'id',
    "select id as id from information_schema.processlist where user = 'system user' and command in ('Slave_IO', 'Connect') and state regexp 'master|source'",
  );
}

async function ask(node: ConformanceNode, column: string, query: string): Promise<string> {
  const session = await admin(node);
  try {
    const [row] = await session.query(query);
    return row?.[column] ?? 'none';
  } finally {
    await session.end();
  }
}

/** Removes all of a leader's log but the newest file. MariaDB keeps a file until its engine no longer needs it. */
async function purgeLog(leader: ConformanceNode): Promise<void> {
  const session = await admin(leader);
  try {
    await session.query('flush binary logs');
    await eventually('an empty log', async () => {
      await session.query("purge binary logs before '2037-01-01'");
      return (await session.query('show binary logs')).length === 1 ? true : null;
    });
  } finally {
    await session.end();
  }
}

/** Runs `work` while the node can receive but not apply. */
async function withApplierHeld<T>(node: ConformanceNode, work: () => Promise<T>): Promise<T> {
  const session = await admin(node);
  try {
    await session.query('lock tables conformance.numbers read');
    return await work();
  } finally {
    await session.end();
  }
}
