// Goal: what a server is follows from what its agent did, not from a variable that anybody may set; what somebody sets is named, and set back or
// fenced, and is never taken for a proof. Method: one leader and one replica, each variable changed on each of them by hand.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ALONE, contains, type EngineState } from '@understudy/core';
import { eventually, onStage, print, type Stage } from '@understudy/engine/conformance';
import type { MysqlServer } from '@understudy/servers';
import { mysqlHarness, nodeOf, type TestNode, testSecrets } from './harness.ts';
import { testServers } from './servers.ts';

const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
const names = (['mysql-9.7', 'mariadb-11.8'] as const).filter((name) => chosen === undefined || name === chosen);
for (const server of await testServers(names)) {
  const isMysql = server.flavour === 'mysql';
  const semiSync = isMysql
    ? { source: 'rpl_semi_sync_source_enabled', replica: 'rpl_semi_sync_replica_enabled' }
    : { source: 'rpl_semi_sync_master_enabled', replica: 'rpl_semi_sync_slave_enabled' };
  const timeout = isMysql ? 'rpl_semi_sync_source_timeout' : 'rpl_semi_sync_master_timeout';
  const alone = isMysql ? 'rpl_semi_sync_source_wait_no_replica' : 'rpl_semi_sync_master_wait_no_slave';

  describe(`${server.flavour} ${server.version}: roles`, () => {
    it('a leader stays one whatever is set on it, and every change is named', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const leader = nodeOf(await stage.build(1));
        const client = await stage.connect(leader);
        for (const variable of ['read_only', ...(isMysql ? ['super_read_only'] : [])]) {
          await leader.sql([`set global ${variable} = on`]);
          assert.equal(await client.write(1), 'refused');
          for (const look of ['the agent', 'a new agent']) {
            if (look === 'a new agent') await leader.reopen();
            assert.equal((await stage.state(leader)).kind, 'primary', `${variable}: ${look}`);
            await named(
              leader,
              /read_only .*switched ON from outside on the leader.*understudy switchover.*understudy pause/,
            );
          }
          await leader.sql(['set global read_only = off']);
          await stage.until(leader, 'primary');
          assert.ok(!(await warningsOf(leader)).some((text) => /switched ON from outside/.test(text)));
        }
        await stage.setRule(leader, stageRule(stage));
        await leader.sql([`set global ${semiSync.source} = off`]);
        const counting = await stage.state(leader);
        assert.equal(counting.kind === 'primary' ? counting.acks.running : counting, null);
        await named(leader, new RegExp(`${semiSync.source} = 0 was set from outside on the leader`));
        await stage.setRule(leader, stageRule(stage));
        assert.deepEqual(await leader.variables([semiSync.source]), ['1'], 'set back');

        await leader.sql([
          `set global ${timeout} = 100`,
          `set global ${alone} = off`,
          'set global event_scheduler = off',
        ]);
        await leader.engine().maintain(stage.context(leader));
        assert.deepEqual(await leader.variables([timeout, alone]), ['4294967295', '1']);
        for (const variable of [timeout, alone, 'event_scheduler']) await named(leader, new RegExp(variable));
        assert.equal(await client.write(2), 'acknowledged');

        // A command looks at the server by itself: what members said before it stands, and who receives has not gone.
        const present = await stage.state(leader);
        assert.ok(present.kind === 'primary', print(present));
        const said = { position: present.position, streamsFrom: leader.id, silentMs: 0 };
        const reports = new Map([[stage.node(2).id, said]]);
        await leader.engine().observe(reports);
        assert.equal(await client.write(20), 'acknowledged');
        await leader.engine().execute({ kind: 'set-ack-rule', rule: ALONE }, stage.context(leader));
        const { state: counted } = await leader.engine().observe(reports);
        const doubts = counted.kind === 'primary' ? (counted.voids ?? []).map(({ text }) => text) : [print(counted)];
        assert.ok(!doubts.some((text) => /ended their wait/.test(text)), doubts.join('\n'));
        await stage.setRule(leader, stageRule(stage));

        const mine = isMysql
          ? [
              "change replication source to source_host = '127.0.0.1', source_port = 1, source_user = 'x'",
              'start replica io_thread',
            ]
          : ["change master to master_host = '127.0.0.1', master_port = 1, master_user = 'x'", 'start slave io_thread'];
        await leader.sql(mine);
        assert.equal((await stage.state(leader)).kind, 'primary');
        await named(leader, /leader was told from outside to receive from 127\.0\.0\.1:1/);
        await leader.sql(isMysql ? ['stop replica', 'reset replica all'] : ['stop slave', 'reset slave all']);

        // An agent that dies while it hands over leaves a server that is closed, and no less the leader.
        let died = false;
        await leader.reopen({
          seam: (what) => {
            if (/command like 'binlog dump%' and coalesce/i.test(what)) died = true;
            return died ? 'die' : 'go';
          },
        });
        await leader.engine().observe();
        await leader.engine().execute({ kind: 'stop', mode: 'handover' }, stage.context(leader));
        await eventually('its death', async () => (leader.engine().takeFailures().length > 0 ? true : null));
        assert.deepEqual(await leader.variables(['read_only']).then(([text]) => isClosed(text)), true);
        await leader.reopen({ seam: undefined });
        assert.equal((await stage.state(leader)).kind, 'primary');
        await leader.engine().maintain(stage.context(leader));
        assert.equal(await client.write(3).then((outcome) => outcome !== 'refused'), true, 'open again');
      }));

    if (!isMysql) {
      it('an end that moves while it is handed over is not the end', () =>
        onStage(mysqlHarness(server), 2, async (stage) => {
          const leader = nodeOf(await stage.build(1));
          const replica = stage.node(2);
          let written = 0;
          await leader.reopen({
            seam: (what) => {
              if (/flush no_write_to_binlog tables/i.test(what)) written += insertNow(server, leader);
              return 'go';
            },
          });
          await leader.engine().observe();
          await leader.engine().execute({ kind: 'stop', mode: 'handover' }, stage.context(leader));
          await eventually('its end', async () => (leader.engine().job() === null ? true : null));
          assert.equal(written, 1, 'a privileged session wrote after the end was read');
          await leader.reopen({ seam: undefined });
          const { state } = await leader.engine().observe();
          assert(state.kind === 'stopped', print(state));
          const received = await stage.position(replica);
          assert.ok(state.position === null || contains(state.position, received), print(state));
          assert.ok(contains(await stage.startFenced(leader), received), 'its next start finds it');
        }));
    }

    it('a replica is kept closed, and one that somebody opens is no leader', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = nodeOf(stage.node(2));
        const keep = () => replica.engine().maintain(stage.context(replica));
        await replica.sql(['set global event_scheduler = on', `set global ${semiSync.source} = on`]);
        if (isMysql) await replica.sql(['set global super_read_only = off']);
        await keep();
        assert.deepEqual(await replica.variables(['event_scheduler', semiSync.source]), ['OFF', '0']);
        if (isMysql) assert.deepEqual(await replica.variables(['super_read_only']), ['1']);
        for (const variable of ['event_scheduler', semiSync.source]) {
          await named(replica, new RegExp(`${variable} was ON on a replica.*changed from outside`));
        }

        await replica.sql([`set global ${semiSync.replica} = off`]);
        await keep();
        assert.deepEqual(await replica.variables([semiSync.replica]), ['1']);

        await replica.sql(isMysql ? ['stop replica', 'reset replica all'] : ['stop slave', 'reset slave all']);
        const follows = () => keep().then(() => stage.state(replica));
        await eventually('its channel is made again', async () => (isOn(await follows()) ? true : null));
        await named(replica, /channel of this replica was removed from outside/);

        // Cut, and able to acknowledge to its own clients: that proves nothing.
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await replica.sql([`set global ${semiSync.source} = on`]);
        const { state } = await replica.engine().observe();
        assert.ok(state.kind === 'replica' && state.receiver.kind === 'streaming', print(state));
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        assert.deepEqual(await replica.variables([semiSync.source]), ['0']);
        await stage.follow(replica, leader);

        // A privileged commit that hangs keeps neither the server open nor its applier from going on.
        if (isMysql) await replica.sql(['set global super_read_only = off']);
        await replica.sql([`set global ${semiSync.source} = on`]);
        const hung = replica.sql(['insert into conformance.numbers values (99)']).then(
          () => 'acknowledged',
          () => 'unknown',
        );
        await eventually('it hangs', async () => {
          const rows = await replica.ask(
            "select id from information_schema.processlist where state like 'Waiting for semi-sync ACK%'",
          );
          return rows.length > 0 ? true : null;
        });
        await assert.rejects(keep, /could not be closed|ended/);
        assert.equal(await hung, 'unknown');
        await stage.until(replica, 'stopped');
        await stage.startFenced(replica);
        assert.deepEqual(await replica.variables([semiSync.source, 'event_scheduler']), ['0', 'OFF']);

        await replica.sql(['set global read_only = off']);
        const opened = await stage.until(replica, 'primary');
        assert.equal(opened.opened, 'outside');
        await named(replica, /read_only was switched OFF from outside/);
        await replica.reopen();
        assert.equal((await stage.until(replica, 'primary')).opened, 'outside', 'a new agent knows it too');
        await replica.engine().execute({ kind: 'stop', mode: 'fence' }, stage.context(replica));
        await stage.until(replica, 'stopped');
      }));
  });
}

/** Writes one row as somebody with every right, before this process goes on. Returns how many were written. */
function insertNow({ baseDir }: MysqlServer, { input }: TestNode): number {
  const login = [`--socket=${join(input.runDir, 'mysql.sock')}`, '--user=us_admin'];
  const statement = 'insert into conformance.numbers values (77)';
  const args = ['--no-defaults', ...login, '--execute', statement];
  const env = { ...process.env, MYSQL_PWD: testSecrets.admin };
  return spawnSync(join(baseDir, 'bin', 'mariadb'), args, { env }).status === 0 ? 1 : 0;
}

const isClosed = (text: string | undefined): boolean => text !== '0' && text !== 'OFF';

const isOn = (state: EngineState): boolean => state.kind === 'replica' && state.receiver.kind === 'streaming';

const stageRule = (stage: Stage) => ({ members: [stage.node(2).id], required: 1 });

const warningsOf = async (node: TestNode): Promise<readonly string[]> =>
  (await node.engine().observe()).details.warnings;

async function named(node: TestNode, pattern: RegExp): Promise<void> {
  const warnings = await warningsOf(node);
  assert.ok(
    warnings.some((text) => pattern.test(text)),
    `${pattern} in:\n${warnings.join('\n')}`,
  );
}
