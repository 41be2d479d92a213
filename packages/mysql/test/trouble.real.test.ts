import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ALONE, ackRule, contains, epoch, ms } from '@understudy/core';
import { EngineError, type OpenCopy } from '@understudy/engine';
import { type ConformanceNode, eventually, monotonicMs, onStage, type Stage } from '@understudy/engine/conformance';
import { ServerSession } from '../src/sql/session.ts';
import { mysqlHarness, nodeOf, testSecrets } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

/** What people do to servers, and what the engine says about it. */
const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
for (const server of await testServers(testServerNames.filter((name) => chosen === undefined || name === chosen))) {
  const harness = mysqlHarness(server);
  describe(`${server.flavour} ${server.version}: trouble`, () => {
    it('says why an applier has stopped, cannot be opened then, and goes on when the cause is gone', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await asAdmin(replica, async (session) => {
          await unlogged(session, ['insert into conformance.numbers values (7)']);
        });
        const client = await stage.connect(leader);
        for (const value of [6, 7, 8]) assert.equal(await client.write(value), 'acknowledged');
        const state = await stage.until(replica, 'replica', ({ blocked }) => blocked !== undefined);
        assert.match(state.blocked ?? '', /stopped by error 1062: .*Duplicate entry '7'/);
        await warned(stage, replica, /error 1062: .*Duplicate entry '7'.*understudy reinit/);
        assert(state.position !== null, 'it vouches for what it received');

        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await replica.engine().maintain(stage.context(replica));
        const sealed = await stage.until(replica, 'replica', ({ blocked }) => blocked !== undefined);
        assert(sealed.position !== null, 'sealed, it still says how far it received');
        const notAfter = ms(monotonicMs() + 60_000);
        const command = { kind: 'promote', epoch: epoch(9), timeline: 7, rule: ALONE, notAfter } as const;
        // An opening that takes longer goes on as a job, and fails there.
        const failedJob = () => replica.engine().takeFailures()[0]?.error ?? null;
        const refused = await replica
          .engine()
          .execute(command, stage.context(replica))
          .then(
            () => eventually('the end of the opening', async () => failedJob()),
            (error: unknown) => error,
          );
        assert.match(String(refused), /applier has stopped/);
        assert.equal((await stage.state(replica)).kind, 'replica');

        await asAdmin(replica, (session) => unlogged(session, ['delete from conformance.numbers where value = 7']));
        await stage.run(replica, { kind: 'follow', upstream: leader.id, epoch: epoch(9) });
        await stage.until(replica, 'replica', ({ blocked }) => blocked === undefined);
        assert.deepEqual((await replica.engine().observe()).details.warnings, []);
        assert.deepEqual(await (await stage.connect(replica)).read(), [6, 7, 8]);
      }));

    it('names settings, tables, filters, events and accounts that replication cannot protect', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await asAdmin(leader, async (session) => {
          await session.query('create table conformance.old (value int) engine = MyISAM');
          await session.query('set global binlog_row_image = minimal');
          await session.query('set global sync_binlog = 0');
          if (server.flavour === 'mariadb') await session.query("grant read only admin on *.* to 'conformance'@'%'");
        });
        await asAdmin(replica, (session) => session.query('set global event_scheduler = on'));
        const exec = server.flavour === 'mysql' ? 'replica' : 'slave';
        await lookAgain(leader);
        await warned(stage, leader, /not InnoDB .* conformance\.old \(MyISAM\)\. Run ALTER TABLE/);
        await warned(
          stage,
          leader,
          /binlog_row_image was changed to MINIMAL, .* Run SET GLOBAL binlog_row_image = FULL/,
        );
        await warned(stage, leader, /sync_binlog was changed to 0/);
        const { voids = [] } = await stage.until(leader, 'primary');
        const effects = voids.map(({ effect, text }) => `${effect}: ${text.split(' ')[0]}`);
        assert.deepEqual(effects.sort(), ['assumed: Tables', 'assumed: sync_binlog', 'loss: binlog_row_image']);
        if (server.flavour === 'mariadb') await warned(stage, leader, /can write on a replica: 'conformance'@'%'/);
        await setFilter(replica, server.flavour);
        await lookAgain(replica);
        await warned(stage, replica, /event_scheduler (is|was) ON on a replica/);
        await warned(stage, replica, /Replication filters are set \(Replicate_Ignore_DB=other\)/);
        await asAdmin(replica, (session) => session.query(`set global ${exec}_exec_mode = idempotent`));
        await lookAgain(replica);
        await warned(stage, replica, /_exec_mode was changed to IDEMPOTENT, but changes that fail on this member/);
        assert.equal(
          (await stage.until(replica, 'replica')).voids?.filter(({ effect }) => effect === 'loss').length,
          2,
        );
      }));

    it('says why a replica lags', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await asAdmin(replica, async (session) => {
          await session.query('lock tables conformance.numbers read');
          const client = await stage.connect(leader);
          assert.equal(await client.write(1), 'acknowledged');
          await warned(stage, replica, /applied nothing of the last \d+ s.*waits for a lock .*End that session/);
        });
        await stage.until(
          replica,
          'replica',
          ({ position, replayed }) => position !== null && contains(replayed, position),
        );
        await eventually('no warning', async () => {
          await replica.engine().maintain(stage.context(replica));
          return (await replica.engine().observe()).details.warnings.length === 0 ? true : null;
        });
      }));

    it('gets into servers that clients have filled, for as long as a switchover takes', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const client = await stage.connect(leader);
        for (const node of [leader, replica]) {
          await asAdmin(node, (session) => session.query('set global max_connections = 15'));
          await node.engine().maintain(stage.context(node));
          await fill(stage, node);
        }
        await leader.engine().maintain(stage.context(leader));
        await stage.setRule(leader, ALONE);
        await stage.setRule(leader, ackRule([replica.id], 1));
        assert.equal(await client.write(1), 'acknowledged');
        await replica.engine().maintain(stage.context(replica));
        await stage.run(leader, { kind: 'stop', mode: 'handover' });
        const end = await stage.until(leader, 'stopped');
        assert.equal(end.shutdown, 'clean');
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await stage.promote(replica, ALONE);
        const { position } = await stage.until(replica, 'primary');
        assert(end.position !== null && contains(position, end.position));
      }));

    it('lists prepared XA transactions after a promotion and in its log, and leaves them alone', () =>
      onStage(harness, 3, async (stage) => {
        const leader = await stage.found();
        const logged: string[] = [];
        const replica = stage.node(2);
        await nodeOf(replica).reopen({ log: ({ message }) => logged.push(message) });
        await stage.join(replica, leader);
        await stage.setRule(leader, ackRule([replica.id], 1));
        await asAdmin(leader, async (session) => {
          for (const statement of [
            "xa start 'order','1'",
            'insert into conformance.numbers values (1)',
            "xa end 'order','1'",
          ])
            await session.query(statement);
          await session.query("xa prepare 'order','1'");
        });
        assert.equal(await (await stage.connect(leader)).write(2), 'acknowledged');
        await leader.kill();
        await stage.until(leader, 'stopped');
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await stage.promote(replica, ALONE);
        const listed = /1 prepared XA transaction waits .*: (X'6F72646572',X'31',1|'order','1')\. .*never decides/i;
        assert.match(logged.join('\n'), listed);
        await warned(stage, replica, listed);
        // A copy that is made meanwhile has it; one made as statements would lack it.
        const third = stage.node(3);
        if (server.flavour === 'mariadb') {
          const { openCopy } = nodeOf(third).input;
          assert(openCopy !== undefined);
          await nodeOf(third).reopen({ openCopy: noFiles });
          await stage.run(third, { kind: 'clone', from: replica.id });
          const refused = await eventually('a refusal', async () => third.engine().takeFailures()[0] ?? null);
          assert.match(refused.error.message, /would lack what is prepared there/);
          await nodeOf(third).reopen({ openCopy });
        }
        await stage.join(third, replica);
        await asAdmin(replica, (session) => session.query("xa commit X'6F72646572',X'31',1"));
        assert.equal(await (await stage.connect(replica)).write(3), 'acknowledged');
        const end = (await stage.until(replica, 'primary')).position;
        await stage.until(stage.node(3), 'replica', ({ replayed, blocked }) => {
          assert.equal(blocked, undefined);
          return contains(replayed, end);
        });
        for (const node of [replica, stage.node(3)]) {
          assert.deepEqual(await (await stage.connect(node)).read(), [1, 2, 3]);
        }
      }));
  });
}

/** What a source without such a program says. */
const noFiles: OpenCopy = async () => {
  throw new EngineError('ENGINE_COPY_UNAVAILABLE', 'files are not sent');
};

/** Connects until the server takes no more. */
async function fill(stage: Stage, node: ConformanceNode): Promise<void> {
  const full = (error: unknown) => error instanceof Error && 'errno' in error && error.errno === 1040;
  for (let connections = 0; connections < 100; connections++) {
    const opened = await stage.connect(node).catch((error: unknown) => error);
    if (full(opened)) return;
    if (opened instanceof Error) throw opened;
  }
  throw new Error(`${node.id} took 100 connections`);
}

/** Drops what the engine remembers of its last look, which it repeats twice a minute only. */
async function lookAgain(node: ConformanceNode): Promise<void> {
  await node.reopen();
  await node.engine().observe();
}

/** What only somebody with every right can do to a running replica. */
async function setFilter(node: ConformanceNode, flavour: 'mysql' | 'mariadb'): Promise<void> {
  await asAdmin(node, async (session) => {
    if (flavour === 'mysql') {
      await session.query('stop replica sql_thread');
      await session.query('change replication filter replicate_ignore_db = (other)');
      await session.query('start replica sql_thread');
    } else {
      await session.query('stop slave sql_thread');
      await session.query("set global replicate_ignore_db = 'other'");
      await session.query('start slave sql_thread');
    }
  });
}

function asAdmin<T>(node: ConformanceNode, work: (session: ServerSession) => Promise<T>): Promise<T> {
  const path = join(nodeOf(node).input.runDir, 'mysql.sock');
  const login = { at: { kind: 'socket', path }, user: 'us_admin', password: testSecrets.admin, tls: null } as const;
  return ServerSession.open(login, 2000).then(async (session) => {
    try {
      return await work(session);
    } finally {
      await session.end();
    }
  });
}

/** Changes a fenced server without a trace in its log, as a careless administrator does. */
async function unlogged(session: ServerSession, statements: readonly string[]): Promise<void> {
  const [row] = await session.query("show global variables like 'super_read_only'");
  const [before, after] =
    row === undefined ? [[], []] : [['set global super_read_only = off'], ['set global super_read_only = on']];
  for (const statement of [...before, 'set sql_log_bin = 0', ...statements, 'set sql_log_bin = 1', ...after]) {
    await session.query(statement);
  }
}

/** Waits until the engine warns of it. */
async function warned(stage: Stage, node: ConformanceNode, pattern: RegExp): Promise<string> {
  const seen = async () => (await node.engine().observe()).details.warnings;
  return eventually(
    String(pattern),
    async () => {
      await node.engine().maintain(stage.context(node));
      return (await seen()).find((warning) => pattern.test(warning)) ?? null;
    },
    async () => (await seen()).join('\n'),
  );
}
