import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConformanceNode } from '@understudy/engine/conformance';
import { eventually, onStage } from '@understudy/engine/conformance';
import pg from 'pg';
import { postgresHarness, serversOf, testSecrets } from './harness.ts';
import { sql, withClient } from './sql.ts';

// Whatever users set for the server, a database or a role, the agent's own sessions work. The oldest and a newer version: what can be set differs.
const servers = await serversOf([15, 17]);
assert(servers.length > 0, 'no PostgreSQL was found: npm run servers -- get');

/** What breaks a session that inherits it, or makes it wait, or answers in another language of values. */
const hostile = [
  'alter system set default_transaction_isolation = serializable',
  'alter system set default_transaction_deferrable = on',
  'alter system set statement_timeout = 1',
  "alter role postgres set default_transaction_isolation = 'serializable'",
  'alter role postgres set default_transaction_read_only = on',
  'alter role postgres set exit_on_error = on',
  "alter role postgres set DateStyle = 'SQL, DMY'",
  'alter role postgres set bytea_output = escape',
  'alter role postgres set role = nobody',
  'alter role all set search_path = traps, pg_catalog',
  'alter role all set lock_timeout = 1',
  'alter role all set idle_session_timeout = 1',
  'alter role all set idle_in_transaction_session_timeout = 1',
  'alter database postgres set session_preload_libraries = nosuch',
  'alter role understudy_rewind set default_transaction_isolation = serializable',
  'alter role understudy_rewind set role = nobody',
];

const hostile17 = [
  'alter role all set transaction_timeout = 1',
  `create function traps.no_login() returns event_trigger language plpgsql as $$ begin raise exception 'Login forbidden'; end $$`,
  'create event trigger no_login on login execute function traps.no_login()',
  'alter event trigger no_login enable always',
];

for (const server of servers) {
  describe(`PostgreSQL ${server.major}: the agent's own sessions`, { concurrency: 2 }, () => {
    it('do not inherit what users set: sealing, opening, following and rewinding go on', () =>
      onStage(postgresHarness(server), 2, async (stage) => {
        const [first, second] = [await stage.build(1), stage.node(2)];
        const traps = [
          'create role nobody',
          'create schema traps',
          `create function traps.pg_is_in_recovery() returns boolean language sql as 'select true'`,
        ];
        const more = server.major >= 17 ? hostile17 : [];
        await withClient(first, async (client) => {
          for (const text of [...traps, ...hostile, ...more]) await client.query(text);
          await client.query('select pg_reload_conf()');
        });
        // Each is asked by sessions that were made after all that: a new agent's on the leader, a new server's on the replica.
        await first.reopen();
        await stage.until(first, 'primary');
        await first.engine().maintain(stage.context(first));
        await second.kill();
        await stage.until(second, 'stopped');
        await stage.startFenced(second);
        await stage.follow(second, first);
        await stage.until(second, 'replica', ({ receiver }) => receiver.kind === 'streaming');
        await stage.run(second, { kind: 'seal', epoch: stage.nextEpoch() });
        // Written by the first alone, so that it has to be rewound.
        await stage.run(first, { kind: 'checkpoint' });
        await eventually('the checkpoint', async () => (first.engine().job() === null ? true : null));
        await first.kill();
        await stage.promote(second, { members: [], required: 0 });
        await stage.run(second, { kind: 'provision' });
        await eventually('the checkpoint', async () => (second.engine().job() === null ? true : null));
        assert.deepEqual(second.engine().takeFailures(), []);
        await stage.until(first, 'stopped');
        await stage.run(first, { kind: 'rewind', from: second.id });
        await eventually('the rewind', async () => (first.engine().job() === null ? true : null));
        assert.deepEqual(first.engine().takeFailures(), []);
        await stage.until(first, 'replica', ({ receiver }) => receiver.kind === 'streaming');
        await assert.rejects(sql(second, 'select 1'), /nosuch|timeout|Login forbidden/, 'the settings do bite others');
      }));
  });
}

const newest = servers.at(-1);
assert(newest !== undefined);

const oldest = servers[0];
assert(oldest !== undefined);

describe(`PostgreSQL ${oldest.major}: the agent's own sessions`, { skip: oldest.major > 15 }, () => {
  it('find another way in when the role is no superuser any more, whose password is left as it is', () =>
    onStage(postgresHarness(oldest), 2, async (stage) => {
      const leader = await stage.build(1);
      const boss = { user: 'boss', password: 'boss' };
      await sql(leader, "create role boss superuser login password 'boss'");
      await sql(leader, "alter role postgres nosuperuser password 'mine'", boss);
      await lives(stage, leader, /permission denied to set parameter.*as understudy_agent/, 'followed');
      await lives(stage, leader, /The password of postgres is not the one in the secrets files/, 'followed');
      assert.deepEqual(await sql(leader, 'select 1 as one', { password: 'mine' }), [{ one: 1 }]);
    }));
});

describe(`PostgreSQL ${newest.major}: the agent's own sessions`, { concurrency: 2 }, () => {
  it('find another way in when a database is closed or gone, or the role may not log in', () =>
    onStage(postgresHarness(newest), 2, async (stage) => {
      const [leader, replica] = [await stage.build(1), stage.node(2)];
      const other = { database: 'template1' };
      await sql(leader, 'alter database postgres with allow_connections false', other);
      await lives(stage, leader, /postgres.*not currently accepting connections.*template1/);
      await replica.kill();
      await stage.until(replica, 'stopped');
      await stage.startFenced(replica);
      await stage.follow(replica, leader);
      await sql(leader, 'drop database postgres with (force)', other);
      await lives(stage, leader, /uses the database template1 as postgres/);
      await sql(leader, 'create database app template template0', other);
      await sql(leader, 'alter role postgres nologin', { database: 'app' });
      await leader.reopen();
      await lives(stage, leader, /postgres.*not permitted to log in.*understudy_agent/);
    }));

  it('are not needed for a server to count as alive: locked catalogs, and no way in at all', () =>
    onStage(postgresHarness(newest), 1, async (stage) => {
      const leader = await stage.found();
      await stage.until(leader, 'primary');
      await withClient(leader, async (client) => {
        await client.query('begin; lock table pg_authid, pg_database');
        await eventually('the warning', async () => {
          const { state, details } = await leader.engine().observe();
          assert.equal(state.kind, 'primary');
          return details.warnings.some((text) => /locked a table of the catalog/.test(text)) ? true : null;
        });
        await client.query('rollback');
      });
      await eventually('the end of the warning', async () => {
        const { state, details } = await leader.engine().observe();
        assert.equal(state.kind, 'primary');
        return details.warnings.length === 0 ? true : null;
      });
      const login = { user: 'postgres', password: testSecrets.superuser, database: 'postgres' };
      const client = new pg.Client({ host: leader.host, port: leader.port, ...login });
      client.on('error', () => undefined);
      await client.connect();
      await client.query('alter role postgres nologin; alter role understudy_agent nologin');
      await leader.reopen();
      const state = await stage.until(leader, 'unresponsive');
      assert.match(state.refusal ?? '', /not permitted to log in/);
      await client.query('alter role postgres login');
      await stage.until(leader, 'primary');
      await leader.engine().maintain(stage.context(leader));
      await eventually('the repair', async () => {
        const { rows } = await client.query("select rolcanlogin from pg_roles where rolname = 'understudy_agent'");
        await leader.engine().maintain(stage.context(leader));
        return rows[0]?.rolcanlogin === true ? true : null;
      });
      // A repair that cannot be made hides nothing else.
      await client.query('alter role understudy_monitor connection limit 3');
      await client.query('alter database template1 set synchronous_commit = off');
      await client.query('begin; lock table pg_authid in share mode');
      await lives(stage, leader, /roles of Understudy could not be looked at, or set right: .*lock timeout/);
      await lives(stage, leader, /synchronous_commit=off is set for every role in template1/);
      await client.query('rollback');
      await client.end();
    }));
});

type Stage = Parameters<Parameters<typeof onStage>[2]>[0];

/** Sees a server, and what stands in the agent's usual way, through sessions made from now on. */
async function lives(
  stage: Stage,
  node: ConformanceNode,
  warning: RegExp,
  replicas: 'followed' | 'any' = 'any',
): Promise<void> {
  await eventually('the other way in', async () => {
    const { state, details } = await node.engine().observe();
    assert(['primary', 'starting'].includes(state.kind), `it is ${state.kind}`);
    await node
      .engine()
      .maintain(stage.context(node))
      .catch(() => undefined);
    if (state.kind === 'primary' && replicas === 'followed') assert.equal(state.replicas.length, 1, 'it sees less');
    return state.kind === 'primary' && details.warnings.some((text) => warning.test(text)) ? true : null;
  });
}
