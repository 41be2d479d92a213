import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type AckRule, ackRule } from '@understudy/core';
import { type ConformanceNode, eventually, ids, onStage, type Stage } from '@understudy/engine/conformance';
import { mysqlProcesses as serverProcesses } from '../src/process/server-process.ts';
import { ServerSession } from '../src/sql/session.ts';
import { mysqlHarness, nodeOf, testSecrets } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

const newWords = {
  replica: 'replica',
  replicaEnabled: 'rpl_semi_sync_replica_enabled',
  required: 'rpl_semi_sync_source_wait_for_replica_count',
  figures: 'Rpl_semi_sync_source_',
  change: 'CHANGE REPLICATION SOURCE TO SOURCE_',
  prefix: 'SOURCE_',
  position: 'SHOW BINARY LOG STATUS',
} as const;

const oldWords = {
  replica: 'slave',
  replicaEnabled: 'rpl_semi_sync_slave_enabled',
  required: '',
  figures: 'Rpl_semi_sync_master_',
  change: 'CHANGE MASTER TO MASTER_',
  prefix: 'MASTER_',
  position: 'SHOW MASTER STATUS',
} as const;

type Words = typeof newWords | typeof oldWords;

/** Who can acknowledge, and what ends a wait for it, on real servers. */
const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
for (const server of await testServers(testServerNames.filter((name) => chosen === undefined || name === chosen))) {
  const harness = mysqlHarness(server);
  const isMysql = server.flavour === 'mysql';
  const words = isMysql ? newWords : oldWords;
  describe(`${server.flavour} ${server.version}: acknowledgements`, { concurrency: 2 }, () => {
    it('are counted from nobody whom the rule does not name, whoever connects', () =>
      onStage(harness, 3, async (stage) => {
        const leader = await stage.build(1);
        const [first, second] = [stage.node(2), stage.node(3)];
        await onStage(harness, 1, async (elsewhere) => {
          const stranger = await elsewhere.found();
          await nodeOf(leader).sql([
            "create user 'dr'@'%' identified by 'password of tests'",
            "grant replication slave on *.* to 'dr'@'%'",
          ]);
          await nodeOf(stranger).sql([
            'set global server_id = 77',
            `set global ${words.replicaEnabled} = on`,
            await attach(leader, words),
            `start ${words.replica}`,
          ]);
          const rule = ackRule(ids([first, second]), 1);
          const { warnings } = await eventually(
            'it is named',
            async () => {
              await look(stage, leader, rule);
              const { details } = await leader.engine().observe();
              return details.warnings.length > 0 ? details : null;
            },
            async () =>
              JSON.stringify([
                await nodeOf(stranger).ask(`show ${words.replica} status`),
                await nodeOf(leader).ask("show global status like 'rpl_semi%'"),
                await nodeOf(leader).ask('show processlist'),
              ]),
          );
          assert.match(warnings.join(), /as "dr" from .* REPLICATION SLAVE was revoked .* GRANT REPLICATION SLAVE/);
          for (const node of [first, second]) await node.kill();
          const client = await stage.connect(leader);
          const outcomes = await Promise.all([client.write(1, 3000), watch(stage, leader, rule, 3000)]);
          assert.equal(outcomes[0], 'unknown', 'a stranger has acknowledged');
          await leader.kill();
        });
      }));

    it('that never came are never answered for, however the server is stopped', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const clients = await Promise.all([1, 2, 3].map(() => stage.connect(leader)));
        assert.equal(await clients[0]?.write(10), 'acknowledged');
        await replica.freeze();
        // A signal reaches the threads of a busy machine one after the other.
        const probe = await stage.connect(leader);
        let value = 100;
        await eventually('nobody answers', async () => {
          value += 1;
          return (await probe.write(value, 1000)) === 'unknown' ? true : null;
        });
        const held = clients.map((client, index) => client.write(index, 120_000));
        await eventually('they wait', async () => ((await waiting(leader, words)) >= 3 ? true : null));
        if (isMysql) {
          await eventually('nobody suffices', async () => {
            await stage.state(leader);
            const [count] = await nodeOf(leader).variables([words.required]);
            return Number(count) > 2 ? true : null;
          });
        }
        for (const pid of await serverProcesses(nodeOf(leader).input.dataDir)) process.kill(pid, 'SIGTERM');
        assert.deepEqual(await Promise.all(held), ['unknown', 'unknown', 'unknown']);
      }));

    it("that never came are not answered for by the agent's own orderly stop", () =>
      onStage(mysqlHarness(server, { stopTimeoutMs: 2000 }), 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        const client = await stage.connect(leader);
        await replica.kill();
        const held = client.write(1, 120_000);
        await eventually('it waits', async () => ((await waiting(leader, words)) === 1 ? true : null));
        await stage.run(leader, { kind: 'stop', mode: 'orderly' });
        assert.equal(await held, 'unknown');
        await stage.until(leader, 'stopped');
      }));
  });
}

/** The statement by which another server replicates from the leader, as somebody's copy for reports does. */
async function attach(leader: ConformanceNode, { change, prefix, position }: Words): Promise<string> {
  const [row] = await nodeOf(leader).ask(position);
  const login = `${prefix}USER = 'dr', ${prefix}PASSWORD = 'password of tests'`;
  const key = prefix === 'SOURCE_' ? ', GET_SOURCE_PUBLIC_KEY = 1, SOURCE_AUTO_POSITION = 0' : ', MASTER_USE_GTID = no';
  const from = `${prefix}LOG_FILE = '${row?.File}', ${prefix}LOG_POS = ${row?.Position}`;
  return `${change}HOST = '127.0.0.1', ${prefix}PORT = ${leader.port}, ${login}, ${from}${key}`;
}

async function waiting(node: ConformanceNode, { figures }: Words): Promise<number> {
  const session = await ServerSession.open(
    {
      at: { kind: 'socket', path: join(nodeOf(node).input.runDir, 'mysql.sock') },
      user: 'us_admin',
      password: testSecrets.admin,
      tls: null,
    },
    5000,
  );
  try {
    const committing =
      "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE user = 'conformance' AND command = 'Query'";
    const [status] = await session.query(`SHOW GLOBAL STATUS LIKE '${figures}wait_sessions'`);
    const [row] = await session.query(committing);
    return Number(status?.Value) > 0 ? Number(row?.n) : 0;
  } finally {
    await session.end();
  }
}

/** Looks at a leader as its agent does, and repairs its rule. */
async function look(stage: Stage, leader: ConformanceNode, rule: AckRule): Promise<void> {
  const state = await stage.state(leader);
  if (state.kind !== 'primary' || state.acks.running !== null) return;
  assert.match(state.acks.unproven ?? '', /does not name acknowledges/);
  await leader.engine().execute({ kind: 'set-ack-rule', rule }, stage.context(leader));
}

async function watch(stage: Stage, leader: ConformanceNode, rule: AckRule, forMs: number): Promise<void> {
  const endMs = Date.now() + forMs;
  while (Date.now() < endMs) await look(stage, leader, rule);
}
