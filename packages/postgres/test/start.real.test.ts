import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALONE, KEEP_END } from '@understudy/core';
import { type ConformanceNode, eventually, onStage } from '@understudy/engine/conformance';
import { postgresHarness, serversOf } from './harness.ts';
import { sql, withClient } from './sql.ts';

// Settings with which a server does not start. One version is enough: what is asked of the server's program is the same in all.
const [server] = await serversOf([17, 15]);
assert(server !== undefined, 'no PostgreSQL was found: npm run servers -- get');
const harness = postgresHarness(server);

type Stage = Parameters<Parameters<typeof onStage>[2]>[0];

async function failureOf(stage: Stage, node: ConformanceNode, parameters: Readonly<Record<string, string>>) {
  await node.engine().execute({ kind: 'start', end: KEEP_END }, { ...stage.context(node), parameters });
  const failure = await eventually('the failure', async () => node.engine().takeFailures()[0] ?? null);
  return failure.error.message;
}

async function alterSystem(node: ConformanceNode, ...settings: readonly string[]): Promise<void> {
  await withClient(node, async (client) => {
    for (const setting of settings) await client.query(`alter system set ${setting}`);
  });
}

describe('settings with which a server does not start', { concurrency: 2 }, () => {
  it('a limit that ALTER SYSTEM lowers has no effect, and a warning says so', () =>
    onStage(harness, 1, async (stage) => {
      const node = await stage.found();
      await alterSystem(node, 'max_connections = 50');
      await node.kill();
      await stage.until(node, 'stopped');
      await stage.startFenced(node);
      assert.deepEqual(await sql(node, 'show max_connections'), [{ max_connections: '100' }]);
      await node.engine().maintain(stage.context(node));
      await eventually('the warning', async () => {
        await node.engine().maintain(stage.context(node));
        const { warnings } = (await node.engine().observe()).details;
        return warnings.some((text) => /ALTER SYSTEM sets max_connections to 50.*: 100 is used/.test(text))
          ? true
          : null;
      });
    }));

  it('is found before the cluster takes it, before a restart, and left out after a crash', () =>
    onStage(harness, 1, async (stage) => {
      const node = await stage.found();
      const engine = node.engine();
      const parameters = { shared_preload_libraries: 'nosuch', work_mem: '7MB' };
      const wrong = await engine.checkParameters(parameters);
      assert.deepEqual(
        wrong.map(({ name }) => name),
        ['shared_preload_libraries'],
      );
      assert.match(wrong[0]?.problem ?? '', /would not start: could not access file "nosuch"/);
      assert.match((await engine.checkParameters({ shared_buffers: '90TB' }))[0]?.problem ?? '', /would not start/);
      assert.match((await engine.checkParameters({ archive_mode: 'on', wal_level: 'minimal' }))[0]?.problem ?? '', /./);
      assert.deepEqual(await engine.checkParameters({ work_mem: '8MB', max_connections: '300' }), []);
      const context = { ...stage.context(node), parameters };
      await engine.execute({ kind: 'restart' }, context);
      const refused = await eventually('the refusal', async () => engine.takeFailures()[0] ?? null);
      assert.match(
        refused.error.message,
        /is not stopped, because it would not start again: could not access file "nosuch"/,
      );
      await stage.until(node, 'primary');
      await node.kill();
      await stage.until(node, 'stopped');
      assert.match(
        await failureOf(stage, node, parameters),
        /shared_preload_libraries of the cluster keeps the server from starting .*left out/,
      );
      await engine.execute({ kind: 'start', end: KEEP_END }, context);
      await stage.until(node, 'replica');
      assert.deepEqual(await sql(node, 'show work_mem'), [{ work_mem: '7MB' }]);
      await eventually('the warning', async () => {
        await engine.maintain(context);
        const { warnings } = (await engine.observe()).details;
        return warnings.some((text) => /shared_preload_libraries of the cluster is left out/.test(text)) ? true : null;
      });
    }));

  it("the server's own last sentence is told, wherever it logs and whatever language it speaks", () =>
    onStage(harness, 1, async (stage) => {
      const node = await stage.found();
      await alterSystem(
        node,
        'logging_collector = on',
        "log_destination = 'csvlog'",
        "lc_messages = 'C'",
        'log_min_messages = fatal',
      );
      await node.kill();
      await stage.until(node, 'stopped');
      await stage.startFenced(node);
      await alterSystem(node, "shared_preload_libraries = 'gone'");
      await node.kill();
      await stage.until(node, 'stopped');
      const message = await failureOf(stage, node, {});
      assert.match(message, /ALTER SYSTEM .*could not access file "gone".*postgresql\.auto\.conf:\d+/);
    }));
});

describe('why a replica gets no further', { concurrency: 2 }, () => {
  it('a limit that the primary raised is named, and a restart puts it right', () =>
    onStage(harness, 2, async (stage) => {
      const [leader, replica] = [await stage.build(1), stage.node(2)];
      const parameters = { max_connections: '150' };
      await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
      await leader.engine().execute({ kind: 'restart' }, { ...stage.context(leader), parameters });
      await stage.until(leader, 'replica');
      await stage.position(leader);
      await stage.promote(leader, ALONE);
      await stage.run(replica, { kind: 'follow', upstream: leader.id, epoch: stage.nextEpoch() });
      const state = await stage.until(replica, 'replica', ({ parked }) => parked !== undefined);
      assert.match(state.parked ?? '', /max_connections is 100 here and was 150 on the primary/);
      assert.equal(state.blocked, state.parked, 'it cannot be opened');
      await stage.run(replica, { kind: 'restart' });
      await stage.until(replica, 'replica', ({ parked }) => parked === undefined);
      await stage.follow(replica, leader);
      assert.deepEqual(await sql(replica, 'show max_connections'), [{ max_connections: '150' }]);
    }));

  it('log that the leader has removed, and a refused login, are found without any log of the server', () =>
    onStage(harness, 2, async (stage) => {
      const [leader, replica] = [await stage.build(1), stage.node(2)];
      await alterSystem(replica, 'log_min_messages = panic');
      await stage.run(replica, { kind: 'stop', mode: 'orderly' });
      await stage.until(replica, 'stopped');
      await withClient(leader, async (client) => {
        await client.query('alter system set wal_keep_size = 0');
        await client.query('select pg_reload_conf()');
        await client.query('set synchronous_commit = local');
        await client.query("select pg_drop_replication_slot('understudy_n2')");
        for (let round = 0; round < 3; round++) {
          await client.query('create table filler as select 1; drop table filler');
          await client.query('select pg_switch_wal()');
          await client.query('checkpoint');
        }
      });
      await stage.startFenced(replica);
      await stage.run(replica, { kind: 'follow', upstream: leader.id, epoch: stage.nextEpoch() });
      const broken = (cause: string) =>
        stage.until(replica, 'replica', ({ receiver }) => receiver.kind === 'broken' && receiver.cause === cause);
      await broken('wal-removed');
      await withClient(leader, async (client) => {
        await client.query('set synchronous_commit = local');
        await client.query('alter role understudy_replication nologin');
      });
      const { receiver } = await broken('login');
      assert.match(receiver.kind === 'broken' ? (receiver.detail ?? '') : '', /not permitted to log in/);
    }));
});
