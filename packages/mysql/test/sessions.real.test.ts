// Goal: what users set for every session keeps neither the agents nor their replicas out, and changes nothing of what they do.
// Method: everything that a new session inherits is set at once, on a leader and on a replica that run; then new agents observe, seal, follow,
// copy, promote and start.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALONE, ackRule } from '@understudy/core';
import { ids, onStage, type Stage } from '@understudy/engine/conformance';
import { mysqlHarness, nodeOf } from './harness.ts';
import { testServers } from './servers.ts';

/** Also as parameters of a start. */
const lasting: Readonly<Record<string, string>> = {
  autocommit: '0',
  lock_wait_timeout: '1',
  innodb_lock_wait_timeout: '1',
  wait_timeout: '1',
  interactive_timeout: '1',
  max_user_connections: '1',
  max_error_count: '0',
  completion_type: 'RELEASE',
  init_connect: 'select broken from nowhere.nothing',
  character_set_server: 'latin1',
};
const lastingToo: Readonly<Record<string, string>> = {
  sql_mode: 'ANSI,NO_BACKSLASH_ESCAPES,NO_ZERO_DATE,PAD_CHAR_TO_FULL_LENGTH',
  transaction_isolation: 'SERIALIZABLE',
  max_execution_time: '1',
  sql_require_primary_key: 'ON',
  lc_messages: 'de_DE',
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
  offline_mode: 'ON',
};

for (const server of await testServers(['mysql-9.7'])) {
  describe(`${server.flavour} ${server.version}: sessions`, () => {
    it('of agents and replicas go on whatever users set for all', () =>
      onStage(mysqlHarness(server), 3, async (stage) => {
        const [leader, replica, joining] = [nodeOf(await stage.found()), nodeOf(stage.node(2)), nodeOf(stage.node(3))];
        await stage.join(replica, leader);
        const rule = ackRule(ids([replica]), 1);
        await stage.setRule(leader, rule);
        for (const node of [leader, replica]) {
          await node.sql(Object.entries(everything()).map(([name, value]) => `set global ${name} = ${value}`));
          await node.reopen();
          await stage.until(node, node === leader ? 'primary' : 'replica');
          await node.engine().maintain(stage.context(node));
        }
        await write(stage, leader, 1);
        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await stage.position(replica);
        await stage.follow(replica, leader);
        await stage.setRule(leader, rule);
        await write(stage, leader, 2);
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
        assert.deepEqual(await read(replica), [1, 2, 3]);

        // A start reads the agent's password under these settings.
        await leader.reopen({ parameters: { ...lasting, ...lastingToo } });
        await stage.startFenced(leader);
        await stage.follow(leader, replica);
        await stage.setRule(replica, ackRule(ids([leader]), 1));
        await write(stage, replica, 4);
        assert.deepEqual(await read(leader), [1, 2, 3, 4]);
        assert.deepEqual((await leader.variables(['autocommit', 'max_user_connections'])).join(), '0,1');
      }));
  });
}

function everything(): Readonly<Record<string, string>> {
  const asked = Object.entries({ ...lasting, ...lastingToo });
  const quoted = asked.map(([name, value]) => [name, /^\d+$/.test(value) ? value : `'${value}'`]);
  return { ...Object.fromEntries(quoted), ...passing };
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
