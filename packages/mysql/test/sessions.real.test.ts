// Goal: what users set for every session keeps neither the agents nor their replicas out, and changes nothing of what they do.
// Method: everything that a new session inherits is set at once, on a leader and on a replica that run; then new agents observe, seal, follow,
// copy, promote and start.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { ALONE, ackRule } from '@understudy/core';
import { eventually, ids, onStage, type Stage } from '@understudy/engine/conformance';
import { mysqlHarness, nodeOf, type TestNode } from './harness.ts';
import { testServers } from './servers.ts';

/** Also as parameters of a start. */
const lasting: Readonly<Record<string, string>> = {
  autocommit: '0',
  lock_wait_timeout: '1',
  innodb_lock_wait_timeout: '1',
  wait_timeout: '1',
  interactive_timeout: '1',
  max_error_count: '0',
  completion_type: 'RELEASE',
  character_set_server: 'latin1',
};
const ofMysql: Readonly<Record<string, string>> = {
  sql_mode: 'ANSI,NO_BACKSLASH_ESCAPES,NO_ZERO_DATE,PAD_CHAR_TO_FULL_LENGTH',
  transaction_isolation: 'SERIALIZABLE',
  max_execution_time: '1',
  max_user_connections: '1',
  init_connect: 'select broken from nowhere.nothing',
  sql_require_primary_key: 'ON',
  lc_messages: 'de_DE',
};
const ofMariadb: Readonly<Record<string, string>> = {
  sql_mode: 'ANSI,NO_BACKSLASH_ESCAPES,NO_ZERO_DATE',
  idle_transaction_timeout: '1',
  idle_readonly_transaction_timeout: '1',
};
/** Only of a running server. */
const passing: Readonly<Record<string, string>> = {
  sql_select_limit: '1',
  sql_safe_updates: '1',
  sql_auto_is_null: '1',
  big_tables: '1',
  foreign_key_checks: '0',
  time_zone: "'-11:00'",
  character_set_client: 'latin1',
  character_set_results: 'latin1',
  collation_connection: 'latin1_german2_ci',
};
/** Only of a running server, of one product. */
const passingOf: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  mysql: { offline_mode: 'ON' },
  mariadb: { tx_read_only: '1', idle_write_transaction_timeout: '1' },
};

for (const server of await testServers(['mysql-9.7', 'mariadb-11.8'])) {
  const asked = { ...lasting, ...(server.flavour === 'mysql' ? ofMysql : ofMariadb) };
  const everything = { ...quoted(asked), ...passing, ...passingOf[server.flavour] };
  const right = server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
  const word = server.flavour === 'mysql' ? 'replica' : 'slave';
  describe(`${server.flavour} ${server.version}: sessions`, () => {
    it('of agents and replicas go on whatever users set for all', () =>
      onStage(mysqlHarness(server), 3, async (stage) => {
        const [leader, replica, joining] = [nodeOf(await stage.found()), nodeOf(stage.node(2)), nodeOf(stage.node(3))];
        await stage.join(replica, leader);
        const rule = ackRule(ids([replica]), 1);
        await stage.setRule(leader, rule);
        // As an earlier version gave it.
        await leader.sql([`grant ${right} on *.* to us_monitor@'%', us_clone@'%'`]);
        for (const node of [leader, replica]) {
          await node.sql(Object.entries(everything).map(([name, value]) => `set global ${name} = ${value}`));
          await node.reopen();
          await stage.until(node, node === leader ? 'primary' : 'replica');
          await node.engine().maintain(stage.context(node));
        }
        const rows = await leader.ask(
          `select grantee as grantee from information_schema.user_privileges where privilege_type = '${right}' limit 1000`,
        );
        const holders = rows.map(({ grantee }) => String(grantee)).filter((name) => name.startsWith("'us_"));
        const replication =
          server.flavour === 'mysql' ? ["'us_ack_n1'@'%'", "'us_ack_n2'@'%'", "'us_ack_n3'@'%'", "'us_copy'@'%'"] : [];
        assert.deepEqual(holders.sort(), [...replication, "'us_admin'@'localhost'"].sort());
        await write(stage, leader, 1);
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await stage.position(replica);
        await stage.follow(replica, leader);
        await stage.setRule(leader, rule);
        await write(stage, leader, 2);

        // What it has received and not applied is applied at its start, under these settings.
        await replica.sql([`stop ${word} sql_thread`]);
        await write(stage, leader, 5);
        await write(stage, leader, 6);
        await replica.kill();
        await stage.until(replica, 'stopped');
        const more = server.flavour === 'mariadb' ? { userConfig: await readOnlyConfig(replica) } : {};
        await replica.reopen({ parameters: asked, ...more });
        await stage.startFenced(replica);
        if (server.flavour === 'mariadb') {
          assert.deepEqual(await read(replica), [1, 2, 5, 6]);
          // What a server's own applier inherits is not ours.
          await replica.sql(['set global tx_read_only = 0']);
        }
        await stage.follow(replica, leader);
        await stage.setRule(leader, rule);

        // Only those who replicate are let in whatever is set; a copy says why it cannot be made.
        await stage.run(joining, { kind: 'clone', from: leader.id });
        const failure = await eventually('the copy to fail', async () => joining.engine().takeFailures()[0] ?? null);
        assert.match(
          failure.error.message,
          server.flavour === 'mysql' ? /offline mode/ : /sql_select_limit is 1 on n1/,
        );
        const back =
          server.flavour === 'mysql' ? "offline_mode = off, global init_connect = ''" : 'sql_select_limit = default';
        await leader.sql([`set global ${back}`]);
        await stage.join(joining, leader);
        await stage.setRule(leader, ackRule(ids([replica, joining]), 1));
        await write(stage, leader, 3);

        await leader.kill();
        await stage.until(leader, 'stopped');
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await stage.position(replica);
        await stage.promote(replica, ALONE);
        await stage.run(replica, { kind: 'provision' });
        await stage.until(replica, 'primary');
        assert.deepEqual(await read(replica), [1, 2, 3, 5, 6]);

        // A start reads the agent's password under these settings.
        await leader.reopen({ parameters: asked });
        await stage.startFenced(leader);
        await stage.follow(leader, replica);
        await stage.setRule(replica, ackRule(ids([leader]), 1));
        await write(stage, replica, 4);
        assert.deepEqual(await read(leader), [1, 2, 3, 4, 5, 6]);
        assert.deepEqual(await leader.variables(['autocommit', 'lock_wait_timeout']), ['0', '1']);
      }));
  });
}

function quoted(asked: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(asked);
  return Object.fromEntries(entries.map(([name, value]) => [name, /^\d+$/.test(value) ? value : `'${value}'`]));
}

/** A file that includes what would be refused in it. */
async function readOnlyConfig({ input }: TestNode): Promise<string> {
  const [file, included] = [`${input.runDir}/mine.cnf`, `${input.runDir}/included.cnf`];
  await writeFile(included, '[mysqld]\ntransaction_read_only = 1\n', { mode: 0o644 });
  await writeFile(file, `!include ${included}\n`, { mode: 0o644 });
  return file;
}

/** As a client that states what it needs. */
async function write(stage: Stage, node: ReturnType<typeof nodeOf>, value: number): Promise<void> {
  await stage.until(node, 'primary');
  await node.sql([
    'set session transaction read write',
    'set autocommit = 1',
    `insert into conformance.numbers values (${value})`,
  ]);
}

async function read(node: ReturnType<typeof nodeOf>): Promise<readonly number[]> {
  const limit = 18446744073709551615n;
  const rows = await node.ask(`select value from conformance.numbers order by value limit ${limit}`);
  return rows.map(({ value }) => Number(value));
}
