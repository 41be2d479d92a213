import assert from 'node:assert/strict';
import { access, appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ALONE, ackRule, KEEP_END } from '@understudy/core';
import { EngineError, type EngineErrorCode } from '@understudy/engine';
import { type ConformanceNode, eventually, onStage } from '@understudy/engine/conformance';
import pg from 'pg';
import { createPostgresEngine, type PostgresEngineInput } from '../src/index.ts';
import { engineInput, freePort, makeRoot, postgresHarness, serversOf, TestNode, testSecrets } from './harness.ts';
import { sql, withClient } from './sql.ts';

// What an operator, an application or a full machine may do to one server. One version is enough: these are our own checks.
const [server] = await serversOf([17, 15]);
assert(server !== undefined, 'no PostgreSQL was found: npm run servers -- get');
const harness = postgresHarness(server);
const withFewSenders = postgresHarness(server, { parameters: { shared_buffers: '16MB', max_wal_senders: '10' } });
const withSlots = postgresHarness(server, {
  parameters: {
    shared_buffers: '16MB',
    wal_level: 'logical',
    sync_replication_slots: 'on',
    hot_standby_feedback: 'on',
  },
});
/** Older versions cannot copy slots. */
const copies = { skip: server.major < 17 };
const withArchive = postgresHarness(server, {
  parameters: { shared_buffers: '16MB', wal_level: 'logical', archive_mode: 'on', archive_command: 'false' },
});

const hasCode = (code: EngineErrorCode) => (error: unknown) => error instanceof EngineError && error.code === code;

describe('mistakes before a start', { concurrency: 2 }, () => {
  it('a missing program and a wrong parameter of the node are refused when the engine is made', async (t) => {
    const input = engineInput(server, await makeRoot(t), 'n1', await freePort());
    const elsewhere = { ...input, binaries: { binDir: '/nonexistent' } };
    await assert.rejects(createPostgresEngine(elsewhere), hasCode('ENGINE_BINARY_MISSING'));
    const misspelt = { ...input, parameters: { shared_bufers: '1GB' } };
    await assert.rejects(createPostgresEngine(misspelt), /shared_bufers of this node is not known/);
    const ours = { ...input, parameters: { synchronous_standby_names: '*' } };
    await assert.rejects(createPostgresEngine(ours), /set by Understudy itself/);
  });

  it('a port that is taken is named', () =>
    onStage(harness, 1, async (stage) => {
      const node = stage.node(1);
      await stage.run(node, { kind: 'initialize' });
      await stage.until(node, 'stopped');
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(node.port, node.host, resolve));
      await stage.run(node, { kind: 'start', end: KEEP_END });
      const failure = await eventually('the failure', async () => node.engine().takeFailures()[0] ?? null);
      await new Promise((resolve) => other.close(resolve));
      assert.equal(failure.error.code, 'ENGINE_PORT_IN_USE');
      assert.match(failure.error.message, new RegExp(`Port ${node.port} .* in use`));
      await stage.startFenced(node);
    }));

  it('a setting of ALTER SYSTEM that would break sealing is refused with file and line', () =>
    onStage(harness, 1, async (stage) => {
      const node = stage.node(1);
      await stage.run(node, { kind: 'initialize' });
      await stage.until(node, 'stopped');
      const file = join(dataDirOf(node), 'postgresql.auto.conf');
      await appendFile(file, "work_mem = '8MB'\nprimary_conninfo = 'host=elsewhere'\n");
      await stage.run(node, { kind: 'start', end: KEEP_END });
      const failure = await eventually('the failure', async () => node.engine().takeFailures()[0] ?? null);
      assert.equal(failure.error.code, 'ENGINE_DATA_REFUSED');
      assert.match(failure.error.message, /postgresql\.auto\.conf:\d+ sets primary_conninfo/);
    }));
});

describe('what a running server may meet', { concurrency: 2 }, () => {
  it('clients that use up all connections do not make it look dead, nor keep it from being led', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      const clients: pg.Client[] = [];
      try {
        for (;;) {
          const login = { user: 'postgres', password: testSecrets.superuser, database: 'postgres' };
          const client = new pg.Client({ host: leader.host, port: leader.port, ...login });
          client.on('error', () => undefined);
          clients.push(client);
          await client.connect();
        }
      } catch (error) {
        assert.match(String(error), /too many clients|connection slots|sorry/);
      }
      await stage.setRule(leader, ALONE);
      await stage.setRule(leader, ackRule([stage.node(2).id], 1));
      await leader.reopen();
      assert.equal((await stage.until(leader, 'primary')).kind, 'primary');
      await Promise.allSettled(clients.map((client) => client.end()));
    }));

  it('members come first when others have taken all senders', () =>
    onStage(withFewSenders, 2, async (stage) => {
      const [leader, replica] = [await stage.build(1), stage.node(2)];
      await replica.kill();
      await stage.until(replica, 'stopped');
      const clients: pg.Client[] = [];
      const take = () => {
        const login = { user: 'postgres', password: testSecrets.superuser, database: 'postgres' };
        const feed = { ...login, replication: 'database', application_name: 'feed' };
        const client = new pg.Client(Object.assign({ host: leader.host, port: leader.port }, feed));
        client.on('error', () => undefined);
        clients.push(client);
        return client.connect();
      };
      // The stream of the killed replica may linger for a moment, and its sender is taken too.
      await eventually('all senders to be taken', async () => {
        await take().catch((error: unknown) => assert.match(String(error), /max_wal_senders/));
        const count = "select count(*)::int as taken from pg_stat_replication where application_name not like 'n2.%'";
        return (await sql(leader, count))[0]?.taken === 10 ? true : null;
      });
      await stage.startFenced(replica);
      await stage.run(replica, { kind: 'follow', upstream: leader.id, epoch: stage.nextEpoch() });
      await eventually('the stream of the member', async () => {
        await leader.engine().maintain(stage.context(leader));
        const state = await stage.state(replica);
        return state.kind === 'replica' && state.receiver.kind === 'streaming' ? true : null;
      });
      const { warnings } = (await leader.engine().observe()).details;
      assert.match(warnings.join('\n'), /max_wal_senders \(10\) were taken while n2 had no stream.*"feed"/);
      await Promise.allSettled(clients.map((client) => client.end()));
    }));

  it("logical slots are there on the next leader, and what the last one keeps of them is in nobody's way", copies, () =>
    onStage(withSlots, 2, async (stage) => {
      const [first, second] = [await stage.build(1), stage.node(2)];
      await sql(first, "select pg_create_logical_replication_slot('feed', 'pgoutput', false, false, true)");
      const copied = (leader: ConformanceNode, replica: ConformanceNode) =>
        eventually('the copy of the slot', async () => {
          await sql(leader, 'select pg_log_standby_snapshot()');
          await sql(leader, "select pg_replication_slot_advance('feed', pg_current_wal_lsn())");
          await replica.engine().maintain(stage.context(replica));
          const good = "select from pg_replication_slots where slot_name = 'feed' and synced and not temporary";
          return (await sql(replica, good)).length === 1 ? true : null;
        });
      await copied(first, second);
      await stage.run(first, { kind: 'stop', mode: 'handover' });
      await stage.until(first, 'stopped');
      await stage.run(second, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.promote(second, ALONE);
      await stage.run(second, { kind: 'provision' });
      await stage.until(second, 'primary');
      await stage.startFenced(first);
      await stage.follow(first, second);
      await copied(second, first);
      const { warnings } = (await first.engine().observe()).details;
      assert.match(warnings.join('\n'), /slot feed was left here from when this member led; it was dropped/);
      assert.doesNotMatch(warnings.join('\n'), /does not survive|holds log here/);
    }),
  );

  it('roles and databases that lower the durability, wrong parameters and overrides are reported', () =>
    onStage(harness, 1, async (stage) => {
      const node = await stage.found();
      await sql(node, 'create role hasty; alter role hasty set synchronous_commit = off');
      await withClient(node, async (client) => {
        await client.query("alter system set wal_receiver_timeout = '9s'");
        await client.query("alter system set synchronous_standby_names = 'x'");
        await client.query('select pg_reload_conf()');
      });
      const context = {
        ...stage.context(node),
        parameters: { max_conections: '5', work_mem: '7MB', max_connections: '155', max_worker_processes: '2' },
      };
      await node.engine().maintain(context);
      const warnings = await eventually('the warnings', async () => {
        const { details } = await node.engine().observe();
        return details.warnings.length >= 3 ? details.warnings.join('\n') : null;
      });
      assert.match(warnings, /synchronous_commit=off is set for hasty in every database/);
      assert.match(warnings, /max_conections of the cluster is not known/);
      assert.match(warnings, /max_worker_processes stays at 8/);
      assert.match(warnings, /wal_receiver_timeout is overridden in .*postgresql\.auto\.conf:\d+/);
      assert.match(
        warnings,
        /Somebody set synchronous_standby_names .*postgresql\.auto\.conf:\d+\); that is taken back.*understudy pause/,
      );
      assert.deepEqual((await sql(node, 'show work_mem'))[0], { work_mem: '7MB' });
      assert.deepEqual((await node.engine().observe()).details.pendingRestart, ['max_connections']);
      assert.doesNotMatch(await readFile(join(dataDirOf(node), 'postgresql.auto.conf'), 'utf8'), /synchronous_standby/);
    }));

  it('what will be in the way one day is warned of, and an archive_command that fails does not lengthen a stop', () =>
    onStage(withArchive, 1, async (stage) => {
      const node = await stage.found();
      await withClient(node, async (client) => {
        await client.query('set allow_in_place_tablespaces = on');
        await client.query("create tablespace elsewhere location ''");
        await client.query("select pg_create_logical_replication_slot('feed', 'pgoutput')");
        await client.query('select pg_switch_wal()');
      });
      const warnings = await eventually('the warning of the archive', async () => {
        await node.engine().maintain(stage.context(node));
        const text = (await node.engine().observe()).details.warnings.join('\n');
        return /archive_command fails/.test(text) ? text : null;
      });
      assert.match(warnings, /The tablespace elsewhere lies in pg_tblspc/);
      assert.match(warnings, /The logical slot feed \(database postgres\) does not survive a failover/);
      await stage.run(node, { kind: 'stop', mode: 'handover' });
      assert.notEqual((await stage.until(node, 'stopped')).position, null, 'its end counts');
      const { warnings: after } = (await node.engine().observe()).details;
      assert.match(after.join('\n'), /archive_command failed while the server stopped/);
    }));

  it('a line that the user adds to pg_hba.conf takes effect', () =>
    onStage(harness, 1, async (stage) => {
      const node = await stage.found();
      await sql(node, "create role guest login password 'guest of the tests'");
      const guest = { user: 'guest', password: 'guest of the tests' };
      await sql(node, 'select 1', guest);
      const file = join(dataDirOf(node), 'pg_hba.conf');
      const before = await readFile(file, 'utf8');
      await writeFile(file, `host all guest all reject\n${before}`);
      await node.engine().maintain(stage.context(node));
      await eventually('the rejection', async () => {
        const refused = await sql(node, 'select 1', guest).then(
          () => '',
          (error: unknown) => String(error),
        );
        return /pg_hba.conf rejects/.test(refused) ? true : null;
      });
    }));

  it('slots are there for every member on every node, and go with it', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      for (const node of [leader, stage.node(2)]) await node.engine().maintain(stage.context(node));
      const slots = async (node: typeof leader) =>
        (await sql(node, 'select slot_name from pg_replication_slots order by 1')).map((row) => row.slot_name);
      assert.deepEqual(await slots(leader), ['understudy_n2', 'understudy_n3']);
      assert.deepEqual(await slots(stage.node(2)), ['understudy_n1', 'understudy_n3']);
      const context = stage.context(leader);
      await stage
        .node(3)
        .engine()
        .execute({ kind: 'stop', mode: 'fence' }, stage.context(stage.node(3)));
      const smaller = new Map([...context.members].filter(([id]) => id !== stage.node(3).id));
      await eventually('the slot to go', async () => {
        await leader.engine().maintain({ ...context, members: smaller });
        return (await slots(leader)).length === 1 ? true : null;
      });
    }));

  it('each of our roles can do its work and nothing else', () =>
    onStage(harness, 1, async (stage) => {
      const node = await stage.found();
      const as = (name: 'replication' | 'rewind' | 'monitor') => ({
        user: `understudy_${name}`,
        password: testSecrets[name],
      });
      await assert.rejects(sql(node, 'select 1', as('replication')), /pg_hba.conf rejects/);
      await assert.rejects(sql(node, 'table conformance', as('rewind')), /permission denied/);
      await sql(node, "select pg_read_binary_file('PG_VERSION')", as('rewind'));
      await assert.rejects(sql(node, 'table conformance', as('monitor')), /permission denied/);
      assert.equal(
        (await sql(node, 'select client_addr, state from pg_stat_replication', as('monitor'))).length,
        1,
        'the agent',
      );
      await assert.rejects(sql(node, 'select 1', { password: 'wrong password' }), /password authentication failed/);
      await node.engine().maintain(stage.context(node));
      const text = await readFile(join(runDirOf(node), 'postgres.log'), 'utf8');
      for (const secret of Object.values(testSecrets)) assert(!text.includes(secret), 'no secret in the log');
    }));

  it('a stopped server leaves no process and no secret behind', () =>
    onStage(harness, 2, async (stage) => {
      await stage.build(1);
      const replica = stage.node(2);
      const file = join(runDirOf(replica), 'receiver.pass');
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      assert.match(await readFile(file, 'utf8'), /understudy_replication/);
      await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
      assert.doesNotMatch(await readFile(file, 'utf8'), /understudy_replication:/);
      await stage.run(replica, { kind: 'stop', mode: 'orderly' });
      await stage.until(replica, 'stopped');
      await assert.rejects(access(join(dataDirOf(replica), 'postmaster.pid')));
      await access(join(dataDirOf(replica), 'standby.signal'));
    }));
});

function dataDirOf(node: object): string {
  return inputOf(node).dataDir;
}

function runDirOf(node: object): string {
  return inputOf(node).runDir;
}

function inputOf(node: object): PostgresEngineInput {
  if (!(node instanceof TestNode)) throw new Error('not a node of this harness');
  return node.input;
}
